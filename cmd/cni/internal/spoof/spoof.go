package spoof

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
)

const (
	lockTimeout = 10 * time.Second
	table       = "nat"
	chainPrefix = "cni-br-iface-"
	comments    = "macspoofchk-"
)

var prerouting = netfilter.Chain{Family: netfilter.Bridge, Table: table, Name: "PREROUTING"}

// guard names what one interface of a container has.
type guard struct {
	port, mac netfilter.Chain
	comment   string
}

// longName is from where on a name would be too long for a chain.
const longName = 200

func guardOf(containerID, ifname string) guard {
	name := containerID + "-" + ifname
	if len(name) > longName {
		sum := sha256.Sum256([]byte(name))
		name = hex.EncodeToString(sum[:])
	}
	return guardNamed(name)
}

func guardNamed(name string) guard {
	const commentLimit = 127
	chain := func(name string) netfilter.Chain {
		return netfilter.Chain{Family: netfilter.Bridge, Table: table, Name: name}
	}
	comment := comments + name
	comment = comment[:min(len(comment), commentLimit)]
	return guard{chain(chainPrefix + name), chain(chainPrefix + name + "-mac"), comment}
}

// Guard lets a port send from one address only, whatever it was allowed before.
func Guard(containerID, ifname, port string, mac net.HardwareAddr) error {
	g := guardOf(containerID, ifname)
	return locked(func(c *netfilter.Conn) error {
		rules, err := c.Rules(prerouting)
		if err != nil {
			return err
		}
		var b netfilter.Batch
		b.AddTable(netfilter.Bridge, table)
		b.KeepBaseChain(prerouting, netfilter.BridgeDNAT)
		for _, r := range rules {
			if r.Jump == g.port.Name {
				b.DeleteRule(netfilter.Bridge, table, r)
			}
		}
		b.AddChain(g.port)
		b.AddChain(g.mac)
		b.AddRule(prerouting, new(netfilter.Expressions).Interface(port).JumpTo(g.port.Name),
			g.comment, "")
		b.AddRule(g.port, new(netfilter.Expressions).JumpTo(g.mac.Name), g.comment, "")
		b.AddRule(g.mac, new(netfilter.Expressions).Sender([6]byte(mac)).Return(), g.comment, "")
		b.AddRule(g.mac, new(netfilter.Expressions).Drop(), g.comment, "")
		return c.Commit(&b)
	})
}

// Guarded reports whether the port is checked, and may send from this address and from no other.
func Guarded(containerID, ifname, port string, mac net.HardwareAddr) (bool, error) {
	c, err := netfilter.Dial()
	if err != nil {
		return false, err
	}
	defer c.Close()
	g := guardOf(containerID, ifname)
	jumps, err := c.Rules(prerouting)
	if err != nil {
		return false, err
	}
	inPort, err := c.Rules(g.port)
	if err != nil {
		return false, err
	}
	inMAC, err := c.Rules(g.mac)
	if err != nil {
		return false, err
	}
	led := false
	for _, r := range jumps {
		led = led || r.Jump == g.port.Name && r.Interface == port
	}
	checked := len(inPort) == 1 && inPort[0].Jump == g.mac.Name
	return led && checked && len(inMAC) == 2 && inMAC[0].Sender == [6]byte(mac), nil
}

// Release removes what an interface of a container has.
func Release(containerID, ifname string) error {
	g := guardOf(containerID, ifname)
	return remove(func(c *netfilter.Conn) ([]guard, error) {
		for _, chain := range []netfilter.Chain{g.port, g.mac} {
			there, err := c.HasChain(chain)
			if err != nil || there {
				return []guard{g}, unsupported(err)
			}
		}
		return nil, nil
	})
}

// Collect removes what ports have that gone says are gone. The rest of a chain's name is the
// container and its interface.
func Collect(gone func(port, name string) bool) error {
	return remove(func(c *netfilter.Conn) (dead []guard, err error) {
		jumps, err := c.Rules(prerouting)
		for _, r := range jumps {
			if name, ok := nameOf(r); ok && gone(r.Interface, name) {
				dead = append(dead, guardNamed(name))
			}
		}
		return dead, unsupported(err)
	})
}

// nameOf returns the rest of the name of the chain that a rule of podnet's or of the reference
// plugin's leads to.
func nameOf(r netfilter.Rule) (name string, ok bool) {
	if len(r.Jump) <= len(chainPrefix) || r.Jump[:len(chainPrefix)] != chainPrefix || r.Interface == "" {
		return "", false
	}
	return r.Jump[len(chainPrefix):], true
}

// unsupported drops the error of a kernel without the bridge family, which has nothing of it.
func unsupported(err error) error {
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// remove removes guards, and the table with the last rule in it. Where there are none it waits for
// nobody.
func remove(find func(*netfilter.Conn) ([]guard, error)) error {
	found, err := netfilter.Find(func(c *netfilter.Conn) (bool, error) {
		dead, err := find(c)
		return len(dead) > 0, err
	})
	if err != nil || !found {
		return err
	}
	return locked(func(c *netfilter.Conn) error {
		dead, err := find(c)
		if err != nil || len(dead) == 0 {
			return err
		}
		jumps, err := c.Rules(prerouting)
		if err != nil {
			return err
		}
		var b netfilter.Batch
		left := len(jumps)
		for _, g := range dead {
			for _, r := range jumps {
				if r.Jump == g.port.Name {
					b.DeleteRule(netfilter.Bridge, table, r)
					left--
				}
			}
			for _, chain := range []netfilter.Chain{g.port, g.mac} {
				if there, err := c.HasChain(chain); err != nil {
					return err
				} else if there {
					b.DeleteChain(chain)
				}
			}
		}
		if err := c.Commit(&b); err != nil || left > 0 {
			return err
		}
		var rest netfilter.Batch
		rest.KeepBaseChain(prerouting, netfilter.BridgeDNAT) // somebody may have deleted it
		rest.DeleteEmpty(prerouting)
		if err := c.Commit(&rest); !errors.Is(err, unix.EBUSY) && !errors.Is(err, unix.ENOENT) {
			return err
		}
		return nil
	})
}

func locked(f func(*netfilter.Conn) error) error {
	err := netfilter.Locked(lockTimeout, func(c *netfilter.Conn) error {
		if err := f(c); err != nil {
			return fmt.Errorf("macspoofchk: %w", err)
		}
		return nil
	})
	if errors.Is(err, netfilter.ErrLocked) {
		return protocol.Errorf(protocol.CodeTryLater, "%w", err)
	}
	return err
}
