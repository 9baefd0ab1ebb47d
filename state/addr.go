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

// Addr is an address of one of podnet's devices, with the route to its subnet that the kernel makes for it.
type Addr struct {
	Device    string
	Prefix    netip.Prefix // the address and its prefix length
	Secondary bool         // it goes when another address of its subnet does
	Unrouted  bool         // the kernel's route to its subnet is gone
}

// Key: an IPv6 address is the same with any prefix length.
func (a Addr) Key() Key {
	k := Key{Kind: KindAddr, Name: a.Device, Addr: a.Prefix.Addr()}
	if a.Prefix.Addr().Is4() {
		k.Bits = uint8(a.Prefix.Bits())
	}
	return k
}
func (a Addr) Parent() Key  { return linkKey(a.Device) }
func (a Addr) Name() string { return a.Prefix.String() }

func (a Addr) Attrs() string {
	s := "dev " + a.Device
	if a.Secondary {
		s += " secondary"
	}
	if a.Unrouted {
		s += " without its subnet's route"
	}
	return s
}

// MustReplace: nothing of an address changes in place.
func (a Addr) MustReplace(have Resource) string {
	switch h := have.(Addr); {
	case h.Secondary:
		return "it is secondary to a foreign address of its subnet and would go with that"
	case h.Unrouted:
		return "the kernel makes a subnet's route only with its address"
	}
	return "it has another prefix length"
}

// Displaces says that other, which nobody wants, has to go before a can be what it should: the first IPv4 address of a
// subnet takes the others along when it goes.
func (a Addr) Displaces(other Addr) bool {
	return a.Device == other.Device && a.Prefix.Addr().Is4() && a.Prefix.Masked() == other.Prefix.Masked()
}

// listAddrs reports the addresses of podnet's devices, less those that the kernel gives itself (link-local).
func listAddrs(n *Node, want *Set, live *Live) error {
	routed, err := n.subnetRoutes(live)
	if err != nil {
		return fmt.Errorf("list the routes of subnets: %w", err)
	}
	live.Conflicts = append(live.Conflicts, append(n.foreignAddresses(want), n.widerLANs(want)...)...)
	for _, l := range live.Links.Rows() {
		up := n.links[l.Device].Attrs().Flags&net.FlagUp != 0
		for _, a := range n.addrs {
			p := prefixOf(a.IPNet)
			if a.LinkIndex != n.index(l.Device) || !p.IsValid() || p.Addr().IsLinkLocalUnicast() {
				continue
			}
			live.Addrs.Add(Addr{
				Device: l.Device, Prefix: p, Secondary: p.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY != 0,
				Unrouted: up && !p.IsSingleIP() && !routed[Key{Name: l.Device, Addr: p.Masked().Addr(), Bits: uint8(p.Bits())}],
			}, OwnNode)
		}
	}
	return nil
}

// subnetRoutes are the routes that the kernel made for addresses of podnet's devices.
func (n *Node) subnetRoutes(live *Live) (routed map[Key]bool, err error) {
	for _, l := range live.Links.Rows() {
		if l.Type != "bridge" {
			continue
		}
		for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
			err = errors.Join(err, n.dumpRoutesOf(family, unix.RTPROT_KERNEL, n.index(l.Device), func() {}, func(r liveRoute) {
				if routed == nil {
					routed = map[Key]bool{}
				}
				routed[Key{Name: l.Device, Addr: r.Dst.Addr(), Bits: uint8(r.Dst.Bits())}] = true
			}))
		}
	}
	return routed, err
}

// listAddresses lists the addresses of all links.
func (n *Node) listAddresses() ([]netlink.Addr, error) {
	addrs, err := whole(func() ([]netlink.Addr, error) { return n.handle.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return addrs, nil
}

func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(addrOf(n.IP), bits)
}

// message is the address for netlink, without duplicate address detection: it is podnet's by the topology, and a pod's first
// packet must not wait two seconds for its gateway.
func (a Addr) message() *netlink.Addr {
	m := &netlink.Addr{IPNet: &net.IPNet{IP: a.Prefix.Addr().AsSlice(), Mask: net.CIDRMask(a.Prefix.Bits(), a.Prefix.Addr().BitLen())}}
	if a.Prefix.Addr().Is6() {
		m.Flags = unix.IFA_F_NODAD
	}
	return m
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
	if err := do(device, a.message()); err != nil && !errors.Is(err, gone) {
		return fmt.Errorf("%s %s on %s: %w", c.Op, a.Prefix, a.Device, err)
	}
	return nil
}
