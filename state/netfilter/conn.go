package netfilter

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// The families of netfilter that are no address families.
const (
	Inet   netlink.Family = unix.NFPROTO_INET // IPv4 and IPv6
	Bridge netlink.Family = unix.NFPROTO_BRIDGE
)

// writeBuffer has place for thousands of changes in one transaction.
const writeBuffer = 8 << 20

// Conn is an nfnetlink socket of the calling thread's network namespace. It is for one goroutine.
type Conn struct{ *netlink.Conn }

// Dial opens a socket. It returns an error that Absent knows if the kernel has no nfnetlink.
func Dial() (*Conn, error) {
	c, err := netlink.DialBulk(unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	c.SetWriteBuffer(writeBuffer)
	return &Conn{c}, nil
}

// Absent reports whether Dial failed because the kernel has no nfnetlink, and so no rules that a
// plugin could have made.
func Absent(err error) bool { return errors.Is(err, unix.EPROTONOSUPPORT) }

// request begins a request about nftables' objects.
func request(typ uint16, family netlink.Family) *netlink.Message {
	return netlink.NewMessage(subsystem|typ, 0).NetfilterHeader(family, 0)
}

// list hands the attributes of every object that a request lists to each. What does not exist has
// none, nor has a kernel that lacks all objects of this kind, which says EINVAL.
func (c *Conn) list(m *netlink.Message, reset func(), each func(attributes []byte)) error {
	err := c.Dump(m, reset, func(body []byte) { each(netlink.NetfilterAttributes(body)) })
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
