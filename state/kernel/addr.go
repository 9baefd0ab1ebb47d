package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// listAddrs reports the addresses of podnet's devices, less those that the kernel gives itself
// (link-local).
func listAddrs(n *Node, want *state.Set, live *state.Live) error {
	routed, err := n.subnetRoutes(live)
	if err != nil {
		return fmt.Errorf("list the routes of subnets: %w", err)
	}
	live.Conflicts = append(live.Conflicts, append(n.foreignAddresses(want), n.widerLANs(want)...)...)
	for _, l := range live.Links.Rows() {
		up := n.Links[l.Device].Attrs().Flags&net.FlagUp != 0
		for _, a := range n.Addrs {
			p := prefixOf(a.IPNet)
			if a.LinkIndex != n.Index(l.Device) || !p.IsValid() || p.Addr().IsLinkLocalUnicast() {
				continue
			}
			live.Addrs.Add(state.Addr{
				Device: l.Device, Prefix: p, Secondary: p.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY != 0,
				Unrouted: up && !p.IsSingleIP() &&
					!routed[state.Key{Name: l.Device, Addr: p.Masked().Addr(), Bits: uint8(p.Bits())}],
			}, state.OwnNode)
		}
	}
	return nil
}

// subnetRoutes are the routes that the kernel made for addresses of podnet's devices.
func (n *Node) subnetRoutes(live *state.Live) (routed map[state.Key]bool, err error) {
	for _, l := range live.Links.Rows() {
		if l.Type != "bridge" {
			continue
		}
		for _, family := range []netlink.Family{netlink.IPv4, netlink.IPv6} {
			err = errors.Join(err, n.dumpRoutesOf(family, unix.RTPROT_KERNEL, n.Index(l.Device), func() {}, func(r liveRoute) {
				if routed == nil {
					routed = map[state.Key]bool{}
				}
				routed[state.Key{Name: l.Device, Addr: r.Dst.Addr(), Bits: uint8(r.Dst.Bits())}] = true
			}))
		}
	}
	return routed, err
}

// listAddresses lists the addresses of all links.
func (n *Node) listAddresses() ([]vishvananda.Addr, error) {
	addrs, err := whole(func() ([]vishvananda.Addr, error) { return n.Handle.AddrList(nil, vishvananda.FAMILY_ALL) })
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

// addressMessage is the address for netlink, without duplicate address detection: it is podnet's by
// the topology, and a pod's first packet must not wait two seconds for its gateway.
func addressMessage(a state.Addr) *vishvananda.Addr {
	m := &vishvananda.Addr{IPNet: &net.IPNet{IP: a.Prefix.Addr().AsSlice(),
		Mask: net.CIDRMask(a.Prefix.Bits(), a.Prefix.Addr().BitLen())}}
	if a.Prefix.Addr().Is6() {
		m.Flags = unix.IFA_F_NODAD
	}
	return m
}

func (n *Node) applyAddr(c *state.Change) error {
	a := c.Object().(state.Addr)
	device, ok := n.Links[a.Device]
	if !ok {
		return fmt.Errorf("%s: %w", a.Device, syscall.ENODEV)
	}
	do, gone := n.Handle.AddrAdd, syscall.EEXIST
	if c.Op == state.Delete {
		do, gone = n.Handle.AddrDel, syscall.EADDRNOTAVAIL
	}
	if err := do(device, addressMessage(a)); err != nil && !errors.Is(err, gone) {
		return fmt.Errorf("%s %s on %s: %w", c.Op, a.Prefix, a.Device, err)
	}
	return nil
}
