package tracer

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Refuser has the kernel refuse netlink messages: it is told something that it does not know in
// their place, answers so, and the program reads another errno in the answer. Put Send into Enter
// and Answer into Leave.
type Refuser struct {
	// Refuse says with which errno; 0: the message goes its way.
	Refuse func(*Call, Message) syscall.Errno
	// Count is how many have been refused.
	Count int

	pending map[pending]syscall.Errno
	changed map[int][]Message // by thread: to be put back, as the program may read them again
}

// pending is a message without an answer.
type pending struct {
	socket string
	seq    uint32
}

// nonsense is a message type of no netlink protocol.
const nonsense = 0x3ff

// Send looks at what a call is about to send.
func (r *Refuser) Send(c *Call) {
	if c.Nr != unix.SYS_SENDTO && c.Nr != unix.SYS_SENDMSG {
		return
	}
	for _, m := range c.Netlink() {
		errno := r.Refuse(c, m)
		if errno == 0 || c.Put(m.Addr+4, native.AppendUint16(nil, nonsense)) != nil {
			continue
		}
		if r.pending == nil {
			r.pending, r.changed = map[pending]syscall.Errno{}, map[int][]Message{}
		}
		r.Count++
		r.pending[pending{c.File(c.Args[0]), m.Seq}] = errno
		r.changed[c.Tid] = append(r.changed[c.Tid], m)
	}
}

// Answer looks at what a call has received.
func (r *Refuser) Answer(c *Call) {
	for _, m := range r.changed[c.Tid] {
		_ = c.Put(m.Addr+4, native.AppendUint16(nil, m.Type)) // the program is alive, it stands still
	}
	delete(r.changed, c.Tid)
	if len(r.pending) == 0 || c.Result <= 0 || c.Nr != unix.SYS_RECVFROM && c.Nr != unix.SYS_RECVMSG {
		return
	}
	left := int(c.Result)
	for _, part := range c.sent() {
		r.answers(c, part.addr, c.Bytes(part.addr, min(left, part.size)))
		left -= part.size
	}
}

func (r *Refuser) answers(c *Call, addr uint64, data []byte) {
	for at := 0; at+unix.NLMSG_HDRLEN+4 <= len(data); {
		size := int(native.Uint32(data[at:]))
		key := pending{c.File(c.Args[0]), native.Uint32(data[at+8:])}
		if errno := r.pending[key]; errno != 0 && native.Uint16(data[at+4:]) == unix.NLMSG_ERROR {
			_ = c.Put(addr+uint64(at)+unix.NLMSG_HDRLEN, native.AppendUint32(nil, -uint32(errno)))
			delete(r.pending, key)
		}
		if size < unix.NLMSG_HDRLEN {
			return
		}
		at += (size + 3) &^ 3
	}
}
