package netlink

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Transact sends n changes as one transaction of a subsystem of netfilter: all of them become true,
// or none. encode appends the message of a change. Only the last one asks for an acknowledgement;
// the kernel answers a change that it refuses in any case.
//
// It returns the first error and the place of the change that it is about, -1 if it is about all of
// them. It returns EMSGSIZE if the changes are larger than the write buffer.
func (c *Conn) Transact(subsystem uint16, n int, encode func(i int, b *Batch)) (refused int, err error) {
	c.out.reset()
	c.out.Message(unix.NFNL_MSG_BATCH_BEGIN, 0).NetfilterHeader(unix.AF_UNSPEC, subsystem)
	for i := range n {
		encode(i, &c.out)
	}
	c.out.last.addFlags(unix.NLM_F_ACK)
	c.out.Message(unix.NFNL_MSG_BATCH_END, 0).NetfilterHeader(unix.AF_UNSPEC, subsystem)

	begin, err := c.send()
	if err != nil {
		return -1, err
	}
	refused = -1
	receiving := c.receive(begin, func(m int, h Header, body []byte) bool {
		if h.Type != unix.NLMSG_ERROR {
			return false
		}
		errno := h.err(body)
		if errno != nil && err == nil {
			err = errno
			if m >= 1 && m <= n {
				refused = m - 1
			}
		}
		return m == n || m == 0 && errno != nil // an error of the beginning is the last answer
	})
	return refused, errors.Join(err, receiving)
}
