package bridge

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// judgesSenders reports whether pods of the network may send only from what they were given.
// podnetd keeps the rules, and the sets that they go by.
func (c *call) judgesSenders() bool { return c.Podnet != nil && c.Podnet.AntiSpoofing }

// allowSender lets the pod send from its MAC address and its addresses. If there are no sets the
// pod's is one of the ports that podnetd finds when it makes them.
func (a *attachment) allowSender() error {
	if !a.judgesSenders() || a.addrs == nil {
		return nil
	}
	return ofSenders(func(c *netfilter.Conn) error {
		var b netfilter.Batch
		keys := netfilter.SenderKeys(a.veth.name, [6]byte(a.veth.peerMAC), a.addrs.hosts()...)
		for f, set := range netfilter.SenderSets() {
			b.AddKeys(set, keys[f], 0)
		}
		return c.Commit(&b)
	})
}

// forgetSender lets nothing through that comes from the attachment's port.
func (c *call) forgetSender() error {
	if !c.judgesSenders() {
		return nil
	}
	name := c.vethName()
	return dropSenders(func(port string) (bool, error) { return port == name, nil })
}

// collectSenders drops what ports may send that there are none of. A port is made before what it may
// send is written, so that it is looked for afterwards.
func (c *call) collectSenders() error {
	if !c.judgesSenders() {
		return nil
	}
	return dropSenders(func(port string) (bool, error) {
		_, err := c.host.LinkByName(port)
		if errors.Is(err, netlink.ErrNoLink) {
			return true, nil
		}
		return false, err
	})
}

// dropSenders drops what the ports may send that which names. podnetd may drop some of it at the same
// time.
func dropSenders(which func(port string) (bool, error)) error {
	return ofSenders(func(c *netfilter.Conn) (err error) {
		const attempts = 3
		for range attempts {
			var b netfilter.Batch
			if err := findSenders(c, &b, which); err != nil {
				return err
			}
			if err = c.Commit(&b); !errors.Is(err, unix.ENOENT) {
				return err
			}
		}
		return err
	})
}

func findSenders(c *netfilter.Conn, b *netfilter.Batch, which func(port string) (bool, error)) error {
	for _, set := range netfilter.SenderSets() {
		elements, err := c.Elements(set)
		if err != nil {
			return err
		}
		var keys [][]byte
		for _, e := range elements {
			s, ok := netfilter.ParseSender(e.Key)
			if !ok {
				continue
			}
			dead, err := which(s.Device)
			if err != nil {
				return err
			}
			if dead {
				keys = append(keys, e.Key)
			}
		}
		b.DeleteKeys(set, keys)
	}
	return nil
}

// ofSenders runs f with a socket of the packet filter's. That there are no sets, or no packet filter,
// is no error.
func ofSenders(f func(*netfilter.Conn) error) error {
	c, err := netfilter.Dial()
	if netfilter.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	err = f(c)
	for _, absent := range []error{unix.ENOENT, unix.EOPNOTSUPP, unix.EAFNOSUPPORT} {
		if errors.Is(err, absent) {
			return nil
		}
	}
	return err
}
