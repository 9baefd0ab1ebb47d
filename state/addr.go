package state

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addr is an address of one of podnet's devices.
type Addr struct {
	Device string
	Prefix netip.Prefix // the address and its prefix length
}

func (a Addr) Key() Key {
	return Key{Kind: KindAddr, Name: a.Device, Addr: a.Prefix.Addr(), Bits: uint8(a.Prefix.Bits())}
}
func (a Addr) Parent() Key   { return linkKey(a.Device) }
func (a Addr) Name() string  { return a.Prefix.String() }
func (a Addr) Attrs() string { return "dev " + a.Device }

// listAddrs reports the addresses of podnet's devices, less those that the kernel gives itself (link-local).
func listAddrs(n *Node, _ *Set, live *Live) error {
	for _, l := range live.Links.Rows() {
		addrs, err := n.handle.AddrList(n.links[l.Device], netlink.FAMILY_ALL)
		if errors.Is(err, syscall.ENODEV) {
			continue
		}
		if err != nil {
			return fmt.Errorf("list the addresses of %s: %w", l.Device, err)
		}
		for _, a := range addrs {
			if p := prefixOf(a.IPNet); p.IsValid() && !p.Addr().IsLinkLocalUnicast() {
				live.Addrs.Add(Addr{l.Device, p}, OwnNode)
			}
		}
	}
	return nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), bits)
}

// AddrMessage is an address for netlink, without duplicate address detection: it is podnet's by the topology, and a pod's
// first packet must not wait two seconds for its gateway.
func AddrMessage(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD
	}
	return a
}

func (n *Node) applyAddr(c *Change) error {
	a := c.Object().(Addr)
	device, ok := n.links[a.Device]
	if !ok {
		return fmt.Errorf("%s: %w", a.Device, syscall.ENODEV)
	}
	do, gone := n.handle.AddrAdd, syscall.EEXIST
	if c.Op == Delete {
		do, gone = n.handle.AddrDel, syscall.EADDRNOTAVAIL
	}
	if err := do(device, AddrMessage(a.Prefix)); err != nil && !errors.Is(err, gone) {
		return fmt.Errorf("%s %s on %s: %w", c.Op, a.Prefix, a.Device, err)
	}
	return nil
}
