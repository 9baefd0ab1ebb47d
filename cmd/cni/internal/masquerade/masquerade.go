package masquerade

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// Backends, as configurations name them.
const (
	Auto     = "auto"
	IPTables = "iptables"
	NFTables = "nftables"
)

// Pod is an attachment.
type Pod struct{ Network, ContainerID, IfName string }

// lockTimeout is how long others may hold the packet filter.
const lockTimeout = 10 * time.Second

// backend keeps rules in one of the kernel's ways.
type backend interface {
	// repair returns what adds the rules that are missing for a pod's addresses, each with its network;
	// nil if none are missing.
	repair(p Pod, addrs []netip.Prefix) (change, error)
	// removal returns what removes a pod's rules but those of the addresses that keep says are another
	// interface's; nil if there are none.
	removal(p Pod, keep func(netip.Addr) (bool, error)) (change, error)
	// garbage returns what removes the rules of a network's pods that are not valid; nil if there
	// are none.
	garbage(network string, valid protocol.Attachments) (change, error)
}

// change writes what was found to be missing, or removes what was found to be there.
type change func() error

// choose picks as the reference plugin does: iptables, unless only nft is there.
func choose(name string, c *netfilter.Conn) backend {
	usable := func() bool { return netfilter.HasIPTables() == nil || netfilter.HasNFTables() != nil }
	if name == IPTables || name != NFTables && usable() {
		return iptables{c}
	}
	return nftables{c}
}

// Ensure makes a pod's rules be there, for its addresses with their networks. It reports
// whether some were missing.
func Ensure(backendName string, p Pod, addrs []netip.Prefix) (made bool, err error) {
	err = locked(func(c *netfilter.Conn) error {
		repair, err := choose(backendName, c).repair(p, addrs)
		if err != nil || repair == nil {
			return err
		}
		made = true
		return repair()
	})
	return made, err
}

// There reports whether all of a pod's rules are there.
func There(backendName string, p Pod, addrs []netip.Prefix) (there bool, err error) {
	c, err := netfilter.Dial()
	if err != nil {
		return false, err
	}
	defer c.Close()
	repair, err := choose(backendName, c).repair(p, addrs)
	return repair == nil, err
}

// Remove removes a pod's rules, whichever backend they are in. Keep tells of an address whether
// another interface of the container has it, which iptables' rules do not say; it is asked only if
// there are rules.
func Remove(p Pod, keep func(netip.Addr) (bool, error)) error {
	return remove(func(b backend) (change, error) { return b.removal(p, keep) })
}

// Collect removes the rules of all pods of a network that are not valid.
func Collect(network string, valid protocol.Attachments) error {
	return remove(func(b backend) (change, error) { return b.garbage(network, valid) })
}

// remove makes changes in both backends. Where there are none it waits for nobody, and a kernel
// without nfnetlink has none.
func remove(changes func(backend) (change, error)) error {
	all := func(c *netfilter.Conn) (list []change, err error) {
		for _, b := range []backend{iptables{c}, nftables{c}} {
			do, err := changes(b)
			if err != nil {
				return nil, err
			}
			if do != nil {
				list = append(list, do)
			}
		}
		return list, nil
	}
	found, err := netfilter.Find(func(c *netfilter.Conn) (bool, error) {
		list, err := all(c)
		return len(list) > 0, err
	})
	if err != nil || !found {
		return err
	}
	return locked(func(c *netfilter.Conn) error {
		list, err := all(c)
		for _, do := range list {
			err = errors.Join(err, do())
		}
		return err
	})
}

func locked(f func(*netfilter.Conn) error) error {
	err := netfilter.Locked(lockTimeout, func(c *netfilter.Conn) error {
		if err := f(c); err != nil {
			return fmt.Errorf("masquerade: %w", err)
		}
		return nil
	})
	if errors.Is(err, netfilter.ErrLocked) {
		return protocol.Errorf(protocol.CodeTryLater, "%w", err)
	}
	return err
}

// multicast returns the addresses that pods send to all of their network with, which is not
// masqueraded.
func multicast(f netlink.Family) netip.Prefix {
	if f == netlink.IPv4 {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4)
	}
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8)
}

// single returns the prefix of an address by itself.
func single(p netip.Prefix) netip.Prefix { return netip.PrefixFrom(p.Addr(), p.Addr().BitLen()) }
