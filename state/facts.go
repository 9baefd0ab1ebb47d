package state

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/podnet/podnet/state/device"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Facts are what Desired has to know of the host: what podnet neither sets nor owns.
type Facts struct {
	Underlay    string   // the link that carries the node's ip, or the default route's; "": there is none
	UnderlayMTU int      // its MTU; 0: there is none
	IPLocal     bool     // the node's ip is on this host
	IPv6        bool     // the kernel speaks IPv6
	RAListeners []string // links that take router advertisements only as long as the host does not forward
}

// Facts looks the host over for a node with this underlay address.
func (n *Node) Facts(ip netip.Addr) (Facts, error) {
	if err := n.readLinks(); err != nil {
		return Facts{}, err
	}
	f := Facts{IPv6: exists("/proc/sys/net/ipv6"), RAListeners: n.raListeners()}
	index, err := n.holder(ip)
	if err != nil {
		return Facts{}, err
	}
	f.IPLocal = index != 0
	f.Underlay = n.name(index)
	if l := n.links[f.Underlay]; l == nil || l.Attrs().Flags&net.FlagLoopback != 0 {
		if f.Underlay, err = n.defaultLink(ip); err != nil {
			return Facts{}, err
		}
	}
	if l := n.links[f.Underlay]; l != nil {
		f.UnderlayMTU = l.Attrs().MTU
	}
	return f, nil
}

// LocalAddrs are all addresses of this host.
func (n *Node) LocalAddrs() ([]netip.Addr, error) {
	addrs, err := n.listAddresses(netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, a := range addrs {
		out = append(out, addrOf(a.IP))
	}
	return out, nil
}

// holder is the index of the link that has an address, 0 if none has.
func (n *Node) holder(ip netip.Addr) (int, error) {
	addrs, err := n.listAddresses(int(family(ip)))
	if err != nil {
		return 0, err
	}
	for _, a := range addrs {
		if addrOf(a.IP) == ip {
			return a.LinkIndex, nil
		}
	}
	return 0, nil
}

// defaultLink is the link of the default route with the lowest metric, and of its links that with the smallest MTU; "" if
// there is none.
func (n *Node) defaultLink(ip netip.Addr) (string, error) {
	var best liveRoute
	found := false
	reset := func() { found = false }
	err := n.dumpRoutes(family(ip), reset, func(r liveRoute) {
		if r.Dst.Bits() == 0 && (!found || r.Metric < best.Metric) {
			best, found = r, true
		}
	})
	link := best.Device
	for _, hop := range best.Hops {
		if l := n.links[hop.Device]; l != nil && (n.links[link] == nil || l.Attrs().MTU < n.links[link].Attrs().MTU) {
			link = hop.Device
		}
	}
	return link, err
}

// raListeners are links with accept_ra=1, which stop listening the moment the host forwards. Podnet's own devices, pods'
// veths and ports of any bridge have no router to listen to.
func (n *Node) raListeners() []string {
	var out []string
	for name, l := range n.links {
		a := l.Attrs()
		if a.MasterIndex != 0 || a.Flags&net.FlagLoopback != 0 || a.Group >= device.GroupDevice && a.Group <= device.GroupDeleting {
			continue
		}
		if b, err := os.ReadFile("/proc/sys/" + acceptRA(name)); err == nil && strings.TrimSpace(string(b)) == "1" {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func acceptRA(name string) string { return "net/ipv6/conf/" + name + "/accept_ra" }

func exists(path string) bool { return unix.Access(path, unix.F_OK) == nil }
