package tracer

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Message is one netlink message of a call.
type Message struct {
	Protocol    int // NETLINK_ROUTE, NETLINK_NETFILTER, …
	Type, Flags uint16
	Seq         uint32
	Family      uint8  // the first byte behind the header: of routes, addresses and neighbours
	Addr        uint64 // of its header, in the program's memory
}

// Changes says whether the message asks for a change, not for an answer.
func (m Message) Changes() bool {
	const batchBegin = 16 // of nfnetlink: every change is in a batch
	switch m.Protocol {
	case unix.NETLINK_ROUTE:
		return m.Type >= unix.RTM_BASE && m.Type&3 != 2 // NEW, DEL, GET, SET
	case unix.NETLINK_NETFILTER:
		return m.Type == batchBegin
	}
	return false
}

var native = binary.NativeEndian

// Netlink are the messages of a call that sends some; none: it is no such call.
func (c *Call) Netlink() []Message {
	var messages []Message
	protocol := -1
	for _, part := range c.sent() {
		data := c.Bytes(part.addr, part.size)
		for at := 0; at+unix.NLMSG_HDRLEN <= len(data); {
			if protocol == -1 {
				if protocol = c.protocol(c.Args[0]); protocol == -1 {
					return nil
				}
			}
			size := int(native.Uint32(data[at:]))
			if size < unix.NLMSG_HDRLEN {
				break
			}
			m := Message{Protocol: protocol, Type: native.Uint16(data[at+4:]), Flags: native.Uint16(data[at+6:]),
				Seq: native.Uint32(data[at+8:]), Addr: part.addr + uint64(at)}
			if at+unix.NLMSG_HDRLEN < len(data) {
				m.Family = data[at+unix.NLMSG_HDRLEN]
			}
			messages = append(messages, m)
			at += (size + 3) &^ 3
		}
	}
	return messages
}

// span is a piece of the program's memory.
type span struct {
	addr uint64
	size int
}

// sent are the buffers that a call sends, or that one which receives has filled.
func (c *Call) sent() []span {
	const most = 1 << 20
	switch c.Nr {
	case unix.SYS_SENDTO, unix.SYS_RECVFROM:
		return []span{{c.Args[1], int(min(c.Args[2], most))}}
	case unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_SENDMMSG: // of several messages the first is enough to know them
		header := c.Bytes(c.Args[1], 32) // struct msghdr: name, its length, vectors, their number
		if len(header) < 32 {
			return nil
		}
		vectors, count := native.Uint64(header[16:]), int(min(native.Uint64(header[24:]), 64))
		var spans []span
		for i := range count {
			if v := c.Bytes(vectors+uint64(i)*16, 16); len(v) == 16 {
				spans = append(spans, span{native.Uint64(v), int(min(native.Uint64(v[8:]), most))})
			}
		}
		return spans
	}
	return nil
}

// protocol is the netlink protocol of a descriptor; -1: it is no netlink socket.
func (c *Call) protocol(fd uint64) int {
	inode, ok := strings.CutPrefix(c.File(fd), "socket:[")
	if !ok {
		return -1
	}
	inode = strings.TrimSuffix(inode, "]")
	f, err := os.Open(fmt.Sprintf("/proc/%d/net/netlink", c.Tid))
	if err != nil {
		return -1
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 10 && fields[9] == inode {
			var protocol int
			if _, err := fmt.Sscan(fields[1], &protocol); err == nil {
				return protocol
			}
		}
	}
	return -1
}
