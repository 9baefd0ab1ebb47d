package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// rtnl is one NETLINK_ROUTE socket for the kinds that come by the thousand: many requests in one write, replies matched
// by sequence number, dumps decoded in place. The netlink package sends one request a call, which is twenty times slower.
// It belongs to the namespace of the thread that opened it; it is not for concurrent use.
type rtnl struct {
	fd  int
	id  uint32 // the socket's, by which the kernel names the author of a change
	seq uint32
	in  []byte // receive buffer
	out []byte // requests being built
}

const (
	batchSize      = 256     // requests in one write: 30 KiB, far below the socket's limit
	receiveBuffer  = 4 << 20 // bytes; so that the error replies of a whole batch fit
	receiveMessage = 256 << 10
	announcement   = 64 << 10 // a longer one is cut, which is noticed
	dumpAttempts   = 8        // a dump that changes under the reader is repeated
)

var native = binary.NativeEndian

// dial opens a socket of a netlink protocol, NETLINK_ROUTE for nearly everything.
func dial(protocol int) (*rtnl, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	for _, err := range []error{
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1), // the kernel filters dumps
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),        // error replies without the request
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 30}),
	} {
		if err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("netlink socket: %w", err)
		}
	}
	// Larger buffers are a help, not a need: without the privilege the ordinary size stays.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	return &rtnl{fd: fd, id: addr.(*unix.SockaddrNetlink).Pid, in: make([]byte, receiveMessage)}, nil
}

func (c *rtnl) close() { unix.Close(c.fd) }

// message is a request under construction at the end of a buffer.
type message struct {
	buf   []byte
	start int
}

// begin appends a header; end fills in its length.
func (c *rtnl) begin(buf []byte, typ, flags uint16) message {
	c.seq++
	start := len(buf)
	buf = append(buf, make([]byte, unix.NLMSG_HDRLEN)...)
	h := buf[start:]
	native.PutUint16(h[4:], typ)
	native.PutUint16(h[6:], flags|unix.NLM_F_REQUEST)
	native.PutUint32(h[8:], c.seq)
	return message{buf, start}
}

func (m *message) raw(b ...byte) { m.buf = append(m.buf, b...) }

func (m *message) attr(typ uint16, value []byte) {
	m.buf = native.AppendUint16(m.buf, uint16(unix.SizeofRtAttr+len(value)))
	m.buf = native.AppendUint16(m.buf, typ)
	m.buf = append(m.buf, value...)
	for len(m.buf)%unix.RTA_ALIGNTO != 0 {
		m.buf = append(m.buf, 0)
	}
}

func (m *message) attr32(typ uint16, value uint32) {
	m.attr(typ, native.AppendUint32(make([]byte, 0, 4), value))
}

func (m *message) addr(typ uint16, a netip.Addr) {
	if a.Is4() {
		b := a.As4()
		m.attr(typ, b[:])
		return
	}
	b := a.As16()
	m.attr(typ, b[:])
}

func (m *message) end() []byte {
	native.PutUint32(m.buf[m.start:], uint32(len(m.buf)-m.start))
	return m.buf
}

// request is one change as one or more messages: encode appends them with begin. ignore is the errno that means that the
// object is already as asked for.
type request struct {
	encode func(c *rtnl, buf []byte) []byte
	ignore syscall.Errno
}

// do sends the requests in as few writes as will do and returns the first error of each. Only the last message of a write
// asks for an acknowledgement; the kernel answers a failed one in any case.
func (c *rtnl) do(n int, at func(int) request) []error {
	errs := make([]error, n)
	for first := 0; first < n; first += batchSize {
		c.batch(first, min(first+batchSize, n), at, errs)
	}
	return errs
}

func (c *rtnl) batch(first, last int, at func(int) request, errs []error) {
	c.out = c.out[:0]
	base := c.seq
	owner := make([]int32, 0, batchSize) // of each sequence number from base+1 on
	tail := 0                            // where the last message starts
	for i := first; i < last; i++ {
		tail = len(c.out)
		c.out = at(i).encode(c, c.out)
		for len(owner) < int(c.seq-base) {
			owner = append(owner, int32(i))
		}
	}
	for next := tail; ; { // of a request of several messages, the last one
		size := int(native.Uint32(c.out[next:]))
		if next+size >= len(c.out) {
			tail = next
			break
		}
		next += size
	}
	native.PutUint16(c.out[tail+6:], native.Uint16(c.out[tail+6:])|unix.NLM_F_ACK)
	err := unix.Sendto(c.fd, c.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	if err == nil {
		err = c.receive(func(h header, body []byte) (bool, error) {
			if h.typ != unix.NLMSG_ERROR || len(body) < 4 || h.seq <= base || h.seq > c.seq {
				return false, nil // of an earlier exchange that was given up
			}
			i := owner[h.seq-base-1]
			if e := syscall.Errno(-int32(native.Uint32(body))); e != 0 && e != at(int(i)).ignore && errs[i] == nil {
				errs[i] = e
			}
			return h.seq == c.seq, nil
		})
	}
	if err == nil {
		return
	}
	for i := first; i < last; i++ { // what became of them is unknown
		if errs[i] == nil {
			errs[i] = fmt.Errorf("netlink: %w", err)
		}
	}
}

type header struct {
	typ, flags uint16
	seq        uint32
}

// receive hands every message that arrives to each until it says that it is done or fails.
func (c *rtnl) receive(each func(header, []byte) (done bool, err error)) error {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.in, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for b := c.in[:n]; len(b) >= unix.NLMSG_HDRLEN; {
			size := int(native.Uint32(b))
			if size < unix.NLMSG_HDRLEN || size > len(b) {
				return fmt.Errorf("message of %d bytes in %d", size, len(b))
			}
			h := header{native.Uint16(b[4:]), native.Uint16(b[6:]), native.Uint32(b[8:])}
			if done, err := each(h, b[unix.NLMSG_HDRLEN:size]); done || err != nil {
				return err
			}
			b = b[min(align(size), len(b)):]
		}
	}
}

func align(n int) int { return (n + unix.NLMSG_ALIGNTO - 1) &^ (unix.NLMSG_ALIGNTO - 1) }

// dump sends a dump request and hands each object's body to each. A dump that the kernel calls inconsistent is repeated
// from the start, after reset.
func (c *rtnl) dump(encode func(c *rtnl, buf []byte) []byte, reset func(), each func(body []byte)) error {
	var err error
	for range dumpAttempts {
		reset()
		if err = c.dumpOnce(encode, each); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return fmt.Errorf("the dump changed under the reader %d times: %w", dumpAttempts, err)
}

func (c *rtnl) dumpOnce(encode func(c *rtnl, buf []byte) []byte, each func(body []byte)) error {
	c.out = encode(c, c.out[:0])
	seq, torn := c.seq, false
	if err := unix.Sendto(c.fd, c.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	err := c.receive(func(h header, body []byte) (bool, error) {
		if h.seq != seq {
			return false, nil
		}
		torn = torn || h.flags&unix.NLM_F_DUMP_INTR != 0
		switch h.typ {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(body) >= 4 {
				if e := syscall.Errno(-int32(native.Uint32(body))); e != 0 {
					return true, e
				}
			}
			return true, nil
		}
		each(body)
		return false, nil
	})
	if err == nil && torn {
		return unix.EINTR
	}
	return err
}

// attrs calls each for every attribute in b. It is no iterator, because a loop's body would escape to the heap, once for
// each of a hundred thousand messages.
func attrs(b []byte, each func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(native.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		each(native.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:size])
		b = b[min(align(size), len(b)):]
	}
}

// number is a number attribute's value, in the machine's order of bytes; 0: it has the size of none.
func number(b []byte) uint32 {
	switch len(b) {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(native.Uint16(b))
	case 4:
		return native.Uint32(b)
	}
	return 0
}

// ipOf is an address attribute's value.
func ipOf(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
