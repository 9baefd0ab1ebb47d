// Package netlink sends requests to the kernel over netlink sockets and decodes links, addresses, routes and neighbours.
//
// It sends several messages in one system call, over a socket that the Go runtime's poller does not know. The poller would
// wake a thread for every answer, which costs a short process more than the kernel's work does; the answer to a request is
// in the socket when the send returns.
package netlink

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Conn is one netlink socket. It stays in the network namespace of the thread that opened it, and is for one goroutine.
type Conn struct {
	fd  int
	seq uint32
	buf []byte
}

// Dial opens a socket of the routing family in the calling thread's network namespace.
func Dial() (*Conn, error) { return DialFamily(unix.NETLINK_ROUTE) }

// DialFamily opens a socket of another netlink family.
func DialFamily(family int) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	// Both only make answers better: filtered dumps, and the kernel's own words about what it refuses.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	return &Conn{fd: fd, buf: make([]byte, 32<<10)}, nil
}

// Close gives the socket back.
func (c *Conn) Close() { unix.Close(c.fd) }

// Answer is what the kernel says to one message.
type Answer struct {
	Err  error    // an *Error, or nil
	Data [][]byte // payloads, without the netlink header
}

// together bounds the messages of one system call: the answers to all of them have to find room in the socket.
const together = 100

// Exchange sends all messages, many at once. The kernel works on them in their order, on each of them, whether or not those
// before it failed. The error is that of the exchange itself.
func (c *Conn) Exchange(msgs ...*Message) ([]Answer, error) {
	if len(msgs) <= together {
		return c.exchange(msgs)
	}
	var answers []Answer
	for part := range slices.Chunk(msgs, together) {
		a, err := c.exchange(part)
		if err != nil {
			return nil, err
		}
		answers = append(answers, a...)
	}
	return answers, nil
}

func (c *Conn) exchange(msgs []*Message) ([]Answer, error) {
	var out []byte
	first := c.seq + 1
	for _, m := range msgs {
		c.seq++
		out = append(out, m.finish(c.seq)...)
	}
	if err := unix.Sendto(c.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, fmt.Errorf("send to netlink: %w", err)
	}
	answers := make([]Answer, len(msgs))
	for left := len(msgs); left > 0; {
		n, err := c.receive()
		if err != nil {
			return nil, err
		}
		done, err := sort(answers, first, n)
		if err != nil {
			return nil, err
		}
		left -= done
	}
	return answers, nil
}

// Do is Exchange for those who want all messages to succeed: the first error.
func (c *Conn) Do(msgs ...*Message) error {
	answers, err := c.Exchange(msgs...)
	for _, a := range answers {
		if err == nil {
			err = a.Err
		}
	}
	return err
}

// dumpAttempts bounds how often a dump that changes while it is read is begun again.
const dumpAttempts = 10

// Dump is the answer to a request for a list.
func (c *Conn) Dump(m *Message) ([][]byte, error) {
	m.flags |= unix.NLM_F_DUMP
	for attempt := 1; ; attempt++ {
		answers, err := c.Exchange(m)
		if err == nil {
			err = answers[0].Err
		}
		if err == nil {
			return answers[0].Data, nil
		}
		if !errors.Is(err, errInterrupted) || attempt == dumpAttempts {
			return nil, err
		}
	}
}

func (c *Conn) receive() ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.buf, unix.MSG_TRUNC)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return nil, fmt.Errorf("receive from netlink: %w", err)
		case n > len(c.buf):
			return nil, fmt.Errorf("receive from netlink: an answer of %d bytes", n)
		default:
			return c.buf[:n], nil
		}
	}
}
