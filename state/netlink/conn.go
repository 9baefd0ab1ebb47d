package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Conn is one netlink socket. It stays in the network namespace of the thread that opened it, and
// is for one goroutine.
type Conn struct {
	fd  int
	seq uint32
	in  []byte // what is received
	out Batch  // what is sent
}

var native = binary.NativeEndian

const (
	receiveSize   = 32 << 10  // of one receive: the kernel's dumps fill no more
	bulkSize      = 256 << 10 // of one receive on a bulk socket
	receiveBuffer = 4 << 20   // bytes that the kernel may keep, so that the errors of a whole batch fit
	bulkTimeout   = 30        // seconds without an answer
)

// Dial opens a socket of the routing family for a few messages, in the calling thread's network
// namespace. It waits for an answer without limit.
func Dial() (*Conn, error) {
	fd, err := open(unix.NETLINK_ROUTE, 0)
	if err != nil {
		return nil, err
	}
	// The options only make answers better: filtered dumps, and the kernel's own words about what it
	// refuses.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &Conn{fd: fd, in: make([]byte, receiveSize)}, nil
}

// DialBulk opens a socket of a netlink protocol for thousands of messages, in the calling thread's
// network namespace. Its buffers are large. A call returns EAGAIN if the kernel sends nothing for
// bulkTimeout. DialBulk returns EPROTONOSUPPORT if the kernel does not have the protocol.
func DialBulk(protocol int) (*Conn, error) {
	fd, err := open(protocol, 0)
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1), // the kernel filters dumps
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),        // errors come without the request
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: bulkTimeout}),
	)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	enlarge(fd)
	return &Conn{fd: fd, in: make([]byte, bulkSize)}, nil
}

func open(protocol, flags int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, protocol)
	if err != nil {
		return -1, fmt.Errorf("open a netlink socket: %w", err)
	}
	return fd, nil
}

// enlarge raises a socket's receive buffer. It is a help, not a need: without the privilege the
// ordinary size stays.
func enlarge(fd int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
}

// SetWriteBuffer bounds what one write may hold, as far as this process may: the root of a user
// namespace is bound by net.core.wmem_max.
func (c *Conn) SetWriteBuffer(bytes int) {
	if unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bytes) != nil {
		_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bytes)
	}
}

// Close gives the socket back.
func (c *Conn) Close() { unix.Close(c.fd) }

// PortID returns the port ID of the socket, by which the kernel names who made a change. On a
// socket of Dial it is 0 until the first message is sent, which binds the socket.
func (c *Conn) PortID() (uint32, error) {
	addr, err := unix.Getsockname(c.fd)
	if err != nil {
		return 0, fmt.Errorf("netlink socket: %w", err)
	}
	return addr.(*unix.SockaddrNetlink).Pid, nil
}

// Sent returns how many messages have been sent.
func (c *Conn) Sent() uint32 { return c.seq }

// send gives the messages in c.out their sequence numbers and sends them in one write. It returns
// the number of the first.
func (c *Conn) send() (first uint32, err error) {
	first = c.seq + 1
	out := c.out.Bytes()
	for b := out; len(b) > 0; b = b[native.Uint32(b):] {
		c.seq++
		native.PutUint32(b[8:], c.seq)
	}
	if err := unix.Sendto(c.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("send to netlink: %w", err)
	}
	return first, nil
}

// receive calls handle for each answer to the messages that send has numbered from first on. i is
// the index of the answered message; body is a part of the receive buffer and is valid until
// handle returns. receive returns nil when handle returns true. It skips answers to earlier
// messages, whose exchange was given up. It returns EAGAIN if a bulk socket got no answer for
// bulkTimeout, and an error if a datagram is cut off or malformed.
func (c *Conn) receive(first uint32, handle func(i int, h Header, body []byte) (done bool)) error {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.in, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("receive from netlink: %w", err)
		case n > len(c.in):
			return fmt.Errorf("receive from netlink: an answer of %d bytes", n)
		}
		done, err := EachMessage(c.in[:n], func(h Header, body []byte) bool {
			i := h.Seq - first
			return i <= c.seq-first && handle(int(i), h, body)
		})
		if done || err != nil {
			return err
		}
	}
}
