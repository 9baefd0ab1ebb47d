package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Family is a protocol family of the packet filter.
type Family uint8

// The families that plugins have to do with.
const (
	Inet   Family = unix.NFPROTO_INET
	IPv4   Family = unix.NFPROTO_IPV4
	IPv6   Family = unix.NFPROTO_IPV6
	Bridge Family = unix.NFPROTO_BRIDGE
)

const (
	replyTimeout = 10 * time.Second // the kernel answers at once; this is for what nobody thought of
	bufferSize   = 8 << 20          // of thousands of changes in one batch, and of the answers
	dumpRetries  = 20
)

// Conn is a socket of the calling thread's network namespace. It is for one goroutine.
type Conn struct {
	fd  int
	seq uint32
	buf []byte
}

// Dial opens it.
func Dial() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open an nfnetlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(replyTimeout.Nanoseconds())
	err = errors.Join(unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("nfnetlink socket: %w", err)
	}
	raise(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF)
	raise(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF)
	return &Conn{fd: fd, buf: make([]byte, 64<<10)}, nil
}

// raise makes a buffer as large as this process may: the root of a user namespace is bound by
// net.core.wmem_max and rmem_max.
func raise(fd, force, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bufferSize) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, size, bufferSize)
	}
}

// Absent says that Dial failed because the kernel has no nfnetlink, and so no rules that a plugin
// could have made.
func Absent(err error) bool { return errors.Is(err, unix.EPROTONOSUPPORT) }

// Close ends it.
func (c *Conn) Close() { unix.Close(c.fd) }

// message is one nfnetlink message: subsystem and type, a header that names the family, attributes.
func (c *Conn) message(kind uint16, flags uint16, family Family, resource uint16, body attrs) []byte {
	c.seq++
	m := binary.NativeEndian.AppendUint32(make([]byte, 0, 20+len(body)), uint32(20+len(body)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = binary.NativeEndian.AppendUint16(m, flags|unix.NLM_F_REQUEST)
	m = binary.NativeEndian.AppendUint32(m, c.seq)
	m = binary.NativeEndian.AppendUint32(m, 0)
	m = append(m, byte(family), unix.NFNETLINK_V0)
	m = binary.BigEndian.AppendUint16(m, resource)
	return append(m, body...)
}

func (c *Conn) send(b []byte) error {
	if err := unix.Sendto(c.fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return os.NewSyscallError("send to nfnetlink", err)
	}
	return nil
}

// reply is one message that the kernel sent.
type reply struct {
	kind, flags uint16
	seq         uint32
	body        []byte // behind both headers; of an error and of the end of a dump behind the first
}

// errno is what a message of type NLMSG_ERROR or NLMSG_DONE says.
func (r reply) errno() error {
	if len(r.body) >= 4 {
		if n := int32(binary.NativeEndian.Uint32(r.body)); n < 0 {
			return unix.Errno(-n)
		}
	}
	return nil
}

// receive reads what is there and calls f for each message from the sequence number on; what an
// earlier request left is passed over.
func (c *Conn) receive(from uint32, f func(reply)) error {
	n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
	if err == unix.EINTR {
		return nil
	}
	if err != nil {
		return os.NewSyscallError("receive from nfnetlink", err)
	}
	for b := c.buf[:n]; len(b) >= 16; {
		size := int(binary.NativeEndian.Uint32(b))
		if size < 16 || size > len(b) {
			return errors.New("receive from nfnetlink: a message that is not whole")
		}
		r := reply{kind: binary.NativeEndian.Uint16(b[4:]), flags: binary.NativeEndian.Uint16(b[6:]), seq: binary.NativeEndian.Uint32(b[8:]), body: b[16:size]}
		if r.kind > unix.NLMSG_OVERRUN && size >= 20 {
			r.body = b[20:size]
		}
		if int32(r.seq-from) >= 0 {
			f(r)
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return nil
}

var errUnsteady = errors.New("the rules change too fast to be read")

// dump calls f with the attributes of every object that a request lists. What does not exist has
// none. f is called anew from the beginning, after restart, if the kernel says that the list
// changed meanwhile.
func (c *Conn) dump(kind uint16, family Family, body attrs, restart func(), f func([]byte)) error {
	for range dumpRetries {
		restart()
		consistent, err := c.dumpOnce(kind, family, body, f)
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) { // EINVAL: the kernel lacks all objects of this kind
			return nil
		}
		if err != nil || consistent {
			return err
		}
	}
	return errUnsteady
}

func (c *Conn) dumpOnce(kind uint16, family Family, body attrs, f func([]byte)) (consistent bool, err error) {
	if err := c.send(c.message(kind, unix.NLM_F_DUMP, family, 0, body)); err != nil {
		return false, err
	}
	consistent = true
	for done, seq := false, c.seq; !done; {
		receiving := c.receive(seq, func(r reply) {
			consistent = consistent && r.flags&unix.NLM_F_DUMP_INTR == 0
			if r.kind == unix.NLMSG_ERROR || r.kind == unix.NLMSG_DONE {
				done, err = true, r.errno()
				return
			}
			f(r.body)
		})
		if receiving != nil {
			return false, receiving
		}
	}
	if errors.Is(err, unix.EINTR) {
		return false, nil
	}
	return consistent, err
}

// ask sends one request and returns what the kernel says of it.
func (c *Conn) ask(kind uint16, family Family, body attrs) (err error) {
	if err := c.send(c.message(kind, unix.NLM_F_ACK, family, 0, body)); err != nil {
		return err
	}
	for done, seq := false, c.seq; !done; {
		receiving := c.receive(seq, func(r reply) {
			if r.kind == unix.NLMSG_ERROR {
				done, err = true, r.errno()
			}
		})
		if receiving != nil {
			return receiving
		}
	}
	return err
}
