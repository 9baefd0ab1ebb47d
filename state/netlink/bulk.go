package netlink

import (
	"errors"

	"golang.org/x/sys/unix"
)

// atOnce is the requests of one write: 30 KiB, far below the socket's limit.
const atOnce = 256

// Request is one change, which takes one message or more.
type Request struct {
	Encode func(*Batch) // appends the messages
	Ignore unix.Errno   // says that the object is already as asked for
}

// Apply sends requests in as few writes as will do and returns the first error of each. Only the
// last message of a write asks for an acknowledgement; the kernel answers a message that it refuses
// in any case.
func (c *Conn) Apply(n int, at func(int) Request) []error {
	errs := make([]error, n)
	for first := 0; first < n; first += atOnce {
		last := min(first+atOnce, n)
		if err := c.apply(first, last, at, errs); err != nil {
			for i := first; i < last; i++ { // what became of them is unknown
				if errs[i] == nil {
					errs[i] = err
				}
			}
		}
	}
	return errs
}

func (c *Conn) apply(first, last int, at func(int) Request, errs []error) error {
	c.out.reset()
	owner := make([]int, 0, atOnce) // of each message
	for i := first; i < last; i++ {
		at(i).Encode(&c.out)
		for len(owner) < c.out.count {
			owner = append(owner, i)
		}
	}
	c.out.last.addFlags(unix.NLM_F_ACK)
	base, err := c.send()
	if err != nil {
		return err
	}
	return c.receive(base, func(m int, h Header, body []byte) bool {
		if !h.final() {
			return false
		}
		i := owner[m]
		if err := h.err(body); err != nil && errs[i] == nil && !errors.Is(err, at(i).Ignore) {
			errs[i] = err
		}
		return m == len(owner)-1
	})
}

// Ask sends n questions that the kernel answers with one message each, many to a write. encode
// appends the message of a question. Ask hands each answer to each: the body, or why there is none.
func (c *Conn) Ask(n int, encode func(i int, b *Batch), each func(i int, body []byte, err error)) error {
	for first := 0; first < n; first += atOnce {
		if err := c.ask(first, min(first+atOnce, n), encode, each); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) ask(first, last int, encode func(int, *Batch), each func(int, []byte, error)) error {
	c.out.reset()
	for i := first; i < last; i++ {
		encode(i, &c.out)
	}
	base, err := c.send()
	if err != nil {
		return err
	}
	left := last - first
	return c.receive(base, func(m int, h Header, body []byte) bool {
		if h.Type != unix.NLMSG_ERROR {
			each(first+m, body, nil)
		} else if err := h.err(body); err != nil {
			each(first+m, nil, err)
		}
		left--
		return left == 0
	})
}
