package kernel

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// ask puts n questions that the kernel answers with one message each, many to a write, and hands each answer to each: the
// body, or why there is none.
func (c *rtnl) ask(n int, encode func(i int, buf []byte) []byte, each func(i int, body []byte, err error)) error {
	for first := 0; first < n; first += batchSize {
		if err := c.askBatch(first, min(first+batchSize, n), encode, each); err != nil {
			return err
		}
	}
	return nil
}

func (c *rtnl) askBatch(first, last int, encode func(int, []byte) []byte, each func(int, []byte, error)) error {
	base := c.seq
	c.out = c.out[:0]
	for i := first; i < last; i++ {
		c.out = encode(i, c.out)
	}
	if err := unix.Sendto(c.fd, c.out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	left := last - first
	return c.receive(func(h header, body []byte) (bool, error) {
		if h.seq <= base || h.seq > c.seq {
			return false, nil // of an earlier exchange that was given up
		}
		i := first + int(h.seq-base) - 1
		if h.typ != unix.NLMSG_ERROR {
			each(i, body, nil)
		} else if len(body) >= 4 {
			each(i, nil, syscall.Errno(-int32(native.Uint32(body))))
		}
		left--
		return left == 0, nil
	})
}
