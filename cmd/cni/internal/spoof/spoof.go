// Package spoof keeps pods from sending with another MAC address than their own. Each network has a table of nftables in the
// bridge family with one rule for all of its pods, and two sets: the ports that are checked, and the addresses that each may
// send from. A pod more is two elements more, which takes one netlink message and no program.
package spoof

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

const (
	lockTimeout = 10 * time.Second
	nameBytes   = 16 // of an interface's name in a set
)

// tables names what a network has.
type tables struct {
	name        string
	ports, pods firewall.Set
	chain       firewall.Chain
}

func tablesOf(network string) tables {
	sum := sha256.Sum256([]byte(network))
	name := "cni-spoof-" + hex.EncodeToString(sum[:])[:16]
	return tables{
		name:  name,
		ports: firewall.Set{Family: firewall.Bridge, Table: name, Name: "ports"},
		pods:  firewall.Set{Family: firewall.Bridge, Table: name, Name: "pods"},
		chain: firewall.Chain{Family: firewall.Bridge, Table: name, Name: "prerouting"},
	}
}

// create makes the table as nft reads it, all of it or none of it.
func (t tables) create() error {
	return firewall.Script(fmt.Sprintf(`add table bridge %[1]s
add set bridge %[1]s ports { type ifname; }
add set bridge %[1]s pods { type ifname . ether_addr; }
add chain bridge %[1]s prerouting { type filter hook prerouting priority -300; }
flush chain bridge %[1]s prerouting
add rule bridge %[1]s prerouting iifname @ports iifname . ether saddr != @pods drop
`, t.name))
}

// Guard lets a port of the network send from one address only, whatever it was allowed before.
func Guard(network, port string, mac net.HardwareAddr) error {
	t := tablesOf(network)
	return locked(func(c *firewall.Conn) error {
		rules, err := c.Rules(t.chain)
		if err != nil {
			return err
		}
		if len(rules) != 1 {
			if err := t.create(); err != nil {
				return err
			}
		}
		var b firewall.Batch
		if _, err := t.drop(c, &b, func(name string) bool { return name == port }); err != nil {
			return err
		}
		b.AddElement(t.ports, firewall.Element{Key: portKey(port)})
		b.AddElement(t.pods, firewall.Element{Key: podKey(port, mac)})
		return c.Commit(&b)
	})
}

// Release forgets the network's ports that gone says; the last one takes the table along.
func Release(network string, gone func(port string) bool) error {
	t := tablesOf(network)
	c, err := firewall.Dial()
	if firewall.Absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if there, err := t.there(c); err != nil || !there { // without waiting for those who hold the lock
		return err
	}
	return locked(func(c *firewall.Conn) error {
		if there, err := t.there(c); err != nil || !there {
			return err
		}
		var b firewall.Batch
		left, err := t.drop(c, &b, gone)
		if err != nil {
			return err
		}
		if left == 0 {
			b = firewall.Batch{}
			b.DeleteTable(firewall.Bridge, t.name)
		}
		return c.Commit(&b)
	})
}

func (t tables) there(c *firewall.Conn) (bool, error) {
	there, err := c.HasTable(firewall.Bridge, t.name)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EINVAL) {
		return false, nil // a kernel without the bridge family has nothing of it
	}
	return there, err
}

// Guarded says whether the port is checked, and may send from this address and from no other.
func Guarded(network, port string, mac net.HardwareAddr) (bool, error) {
	c, err := firewall.Dial()
	if err != nil {
		return false, err
	}
	defer c.Close()
	t := tablesOf(network)
	rules, err := c.Rules(t.chain)
	if err != nil || len(rules) != 1 {
		return false, err
	}
	ports, err := c.Elements(t.ports)
	if err != nil || !slices.ContainsFunc(ports, func(e firewall.Element) bool { return bytes.Equal(e.Key, portKey(port)) }) {
		return false, err
	}
	pods, err := c.Elements(t.pods)
	pods = slices.DeleteFunc(pods, func(e firewall.Element) bool { return !bytes.HasPrefix(e.Key, portKey(port)) })
	return len(pods) == 1 && bytes.Equal(pods[0].Key, podKey(port, mac)), err
}

// drop deletes the elements of ports that match, and says how many others are left.
func (t tables) drop(c *firewall.Conn, b *firewall.Batch, match func(string) bool) (left int, err error) {
	for _, set := range []firewall.Set{t.ports, t.pods} {
		elements, err := c.Elements(set)
		if err != nil {
			return 0, err
		}
		for _, e := range elements {
			if len(e.Key) >= nameBytes && match(string(bytes.TrimRight(e.Key[:nameBytes], "\x00"))) {
				b.DeleteElement(set, e)
			} else {
				left++
			}
		}
	}
	return left, nil
}

func portKey(port string) []byte { return append([]byte(port), make([]byte, nameBytes-len(port))...) }

// podKey pads the address to four bytes, as the kernel does with each field of a concatenation.
func podKey(port string, mac net.HardwareAddr) []byte {
	return append(append(portKey(port), mac...), 0, 0)
}

func locked(f func(*firewall.Conn) error) error {
	return firewall.Locked(lockTimeout, func(c *firewall.Conn) error {
		if err := f(c); err != nil {
			return fmt.Errorf("macspoofchk: %w", err)
		}
		return nil
	})
}
