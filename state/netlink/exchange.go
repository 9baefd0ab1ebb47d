package netlink

import (
	"errors"
	"slices"

	"golang.org/x/sys/unix"
)

// Answer is what the kernel says to one message.
type Answer struct {
	Err  error    // why the kernel refused it: an errno, or an *Error
	Data [][]byte // bodies of messages
}

// together bounds the messages of one system call: the answers to all of them have to find room in
// the socket.
const together = 100

// Exchange sends all messages, many at once. The kernel works on them in their order, on each of
// them, whether or not those before it failed. The error is that of the exchange itself.
func (c *Conn) Exchange(msgs ...*Message) ([]Answer, error) {
	answers := make([]Answer, len(msgs))
	for first := 0; first < len(msgs); first += together {
		last := min(first+together, len(msgs))
		if err := c.exchange(msgs[first:last], answers[first:last]); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

func (c *Conn) exchange(msgs []*Message, answers []Answer) error {
	c.out.reset()
	for _, m := range msgs {
		c.out.add(m)
	}
	first, err := c.send()
	if err != nil {
		return err
	}
	left := len(msgs)
	return c.receive(first, func(i int, h Header, body []byte) bool {
		if !h.final() {
			answers[i].Data = append(answers[i].Data, slices.Clone(body))
			return false
		}
		answers[i].Err = h.err(body)
		left--
		return left == 0
	})
}

// Do is Exchange for messages that all have to succeed. It returns the first error.
func (c *Conn) Do(msgs ...*Message) error {
	answers, err := c.Exchange(msgs...)
	for _, a := range answers {
		if err == nil {
			err = a.Err
		}
	}
	return err
}

// DumpAttempts bounds how often a dump that changes while it is read is begun again.
const DumpAttempts = 20

// Dump asks for a list and hands each object's body to each, where it was received. If the list
// changes while it is read, Dump calls reset and begins again.
func (c *Conn) Dump(m *Message, reset func(), each func(body []byte)) error {
	m.addFlags(unix.NLM_F_DUMP)
	for range DumpAttempts {
		reset()
		if whole, err := c.dump(m, each); whole || err != nil {
			return err
		}
	}
	return ErrInterrupted
}

// dump reads a list once. It reports false if the list changed meanwhile.
func (c *Conn) dump(m *Message, each func(body []byte)) (whole bool, err error) {
	c.out.reset()
	c.out.add(m)
	first, err := c.send()
	if err != nil {
		return false, err
	}
	whole = true
	var refused error
	err = c.receive(first, func(_ int, h Header, body []byte) bool {
		whole = whole && h.Flags&unix.NLM_F_DUMP_INTR == 0
		if h.final() {
			refused = h.err(body)
			return true
		}
		each(body)
		return false
	})
	switch {
	case err != nil:
		return false, err
	case errors.Is(refused, unix.EINTR):
		return false, nil
	}
	return whole, refused
}

// list is Dump for a few objects, whose bodies it returns.
func (c *Conn) list(m *Message) (bodies [][]byte, err error) {
	err = c.Dump(m, func() { bodies = nil }, func(body []byte) { bodies = append(bodies, slices.Clone(body)) })
	return bodies, err
}
