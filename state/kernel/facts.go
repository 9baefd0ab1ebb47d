package kernel

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/sysctl"
	"golang.org/x/sys/unix"
)

// Facts looks the host over for a node's entry: after LocalAddrs, at what that has seen.
func (n *Node) Facts(node *schema.Node) (state.Facts, error) {
	if !n.begun {
		if err := n.look(); err != nil {
			return state.Facts{}, err
		}
	}
	f := state.Facts{IPv6: exists("/proc/sys/net/ipv6"), NoIPTables: !firewall.HasIPTables()}
	index := n.holder(node.Sender())
	f.IPLocal = index != 0
	f.Underlay = n.Name(index)
	var err error
	if l := n.Links[f.Underlay]; l == nil || l.Attrs().Flags&net.FlagLoopback != 0 {
		if f.Underlay, err = n.defaultLink(node.Sender()); err != nil {
			return state.Facts{}, err
		}
	}
	n.underlay = f.Underlay
	if l := n.Links[f.Underlay]; l != nil {
		f.UnderlayMTU = l.Attrs().MTU
	}
	ipv6 := slices.ContainsFunc(node.PodCIDRs, func(p netip.Prefix) bool { return p.Addr().Is6() })
	if !f.IPLocal || ipv6 && f.UnderlayMTU-state.Overhead(node.IP) < state.MinIPv6MTU {
		f.KeptMTU = n.deviceMTU()
	}
	if ipv6 {
		f.RAListeners, err = n.raListeners(f.Underlay)
	}
	return f, err
}

// deviceMTU is the MTU of podnet's own devices as they are, that of the tunnel first; 0: there is
// none.
func (n *Node) deviceMTU() (mtu int) {
	for _, l := range n.Links {
		if a := l.Attrs(); a.Group == device.GroupDevice && (mtu == 0 || l.Type() == "vxlan") {
			mtu = a.MTU
		}
	}
	return mtu
}

// LocalAddrs are all addresses of this host. It begins a pass: the Facts and the Live that follow
// it are about the host as it is seen here, so that they agree with each other, and links and
// addresses are listed once.
func (n *Node) LocalAddrs() ([]netip.Addr, error) {
	if err := n.Refresh(); err != nil {
		return nil, err
	}
	n.begun = true
	out := make([]netip.Addr, len(n.Addrs))
	for i, a := range n.Addrs {
		out[i] = addrOf(a.IP)
	}
	return out, nil
}

// holder is the index of the link that has an address, 0 if none has.
func (n *Node) holder(ip netip.Addr) int {
	for _, a := range n.Addrs {
		if addrOf(a.IP) == ip {
			return a.LinkIndex
		}
	}
	return 0
}

// defaultLink is the link of the default route with the lowest metric, and of its links that with
// the smallest MTU; "" if there is none.
func (n *Node) defaultLink(ip netip.Addr) (string, error) {
	var best liveRoute
	found := false
	reset := func() { found = false }
	err := n.dumpRoutes(netlink.FamilyOf(ip), reset, func(r liveRoute) {
		if r.Dst.Bits() == 0 && (!found || r.Metric < best.Metric) {
			best, found = r, true
		}
	})
	link := best.Device
	for _, hop := range best.Hops {
		if l := n.Links[hop.Device]; l != nil && (n.Links[link] == nil || l.Attrs().MTU < n.Links[link].Attrs().MTU) {
			link = hop.Device
		}
	}
	return link, err
}

// raListeners are the links that must be told to go on listening to routers before the host
// forwards IPv6. The underlay's link is one of them, whatever it is.
func (n *Node) raListeners(underlay string) ([]string, error) {
	_, listeners, err := sysctl.Listeners(n.hostLinks, func(l device.Link) (bool, error) {
		if l.Name == underlay {
			return true, nil
		}
		return n.advertised(l.Index)
	})
	if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		return nil, nil
	}
	return listeners, err
}

func (n *Node) hostLinks() (links []device.Link, _ error) {
	for name, l := range n.Links {
		a := l.Attrs()
		kind := l.Type()
		if kind == hardware {
			kind = ""
		}
		links = append(links, device.Link{
			Index: a.Index, Name: name, Kind: kind, Group: a.Group, Port: a.MasterIndex != 0, Loopback: a.Flags&net.FlagLoopback != 0,
		})
	}
	return links, nil
}

// hardware is what package netlink calls the kind of a link that has none.
const hardware = "device"

// advertised says whether a router has given the host a route over a link.
func (n *Node) advertised(index int) (routed bool, err error) {
	err = n.dumpRoutesOf(unix.AF_INET6, unix.RTPROT_RA, index, func() { routed = false },
		func(liveRoute) { routed = true })
	return routed, err
}

func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }
