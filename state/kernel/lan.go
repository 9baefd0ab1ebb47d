package kernel

import (
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
)

// ByLAN is the name in the key of a conflict about a subnet of this host that holds podCIDRs.
const ByLAN = "LAN"

// lanOver is a subnet of a link of this host that holds podCIDRs: the pods' routes, of longer
// prefixes, take these addresses from it. All that works without them goes on working.
type lanOver struct {
	HostAddr
	first netip.Prefix // podCIDR
	count int
}

// over finds the podCIDRs in an address's subnet.
func (a HostAddr) over(pods []netip.Prefix) lanOver {
	lan := lanOver{HostAddr: a}
	for _, p := range pods {
		if a.Bits() > p.Bits() || !a.Contains(p.Addr()) {
			continue
		}
		if lan.count++; lan.count == 1 {
			lan.first = p
		}
	}
	return lan
}

func (l lanOver) String() string {
	and := ""
	if l.count > 1 {
		and = fmt.Sprintf(" and %d more", l.count-1)
	}
	return fmt.Sprintf("%s's subnet %s contains podCIDRs (%s%s): its hosts with such addresses cannot be reached from here",
		l.Link, l.Masked(), l.first, and)
}

// choice is what an operator can do about it.
func (l lanOver) choice() string {
	return fmt.Sprintf("choose podCIDRs outside of %s, or give that subnet a longer prefix if no host of it has such an address", l.Masked())
}

// widerLANs are the conflicts with subnets that hold podCIDRs. One that is this node's own podCIDR
// is a conflict of its address.
func (n *Node) widerLANs(want *state.Set) []state.Conflict {
	var pods []netip.Prefix
	var out []state.Conflict
	for _, a := range n.Addrs {
		p, link := prefixOf(a.IPNet), n.Links[n.Name(a.LinkIndex)]
		if link == nil || link.Attrs().Group == device.GroupDevice || !p.IsValid() || p.IsSingleIP() ||
			!overlapsAny(p, want.Ranges) {
			continue
		}
		name := link.Attrs().Name
		if _, _, wanted := want.Links.Find(state.LinkKey(name)); wanted { // of another owner: that is a conflict itself
			continue
		}
		if pods == nil {
			pods = podCIDRs(want)
		}
		lan := HostAddr{p, name}.over(pods)
		if lan.count == 0 || bridges(want, p.Masked()) {
			continue
		}
		out = append(out, state.Conflict{
			Key: state.Key{Kind: state.KindAddr, Name: ByLAN}, Name: p.Masked().String(), Owner: lan.String() + "; " +
				lan.choice(),
		})
	}
	return out
}

func overlapsAny(p netip.Prefix, all []netip.Prefix) bool {
	for _, other := range all {
		if p.Overlaps(other) {
			return true
		}
	}
	return false
}

// bridges reports whether a range is a podCIDR of this node.
func bridges(s *state.Set, p netip.Prefix) bool {
	for _, a := range s.Addrs.Rows() {
		if a.Prefix.Masked() == p {
			return true
		}
	}
	return false
}

// podCIDRs are this node's and all peers'.
func podCIDRs(s *state.Set) []netip.Prefix {
	var all []netip.Prefix
	for _, a := range s.Addrs.Rows() {
		if !a.Prefix.IsSingleIP() {
			all = append(all, a.Prefix.Masked())
		}
	}
	for _, r := range s.Routes.Rows() {
		all = append(all, r.Dst)
	}
	return all
}

// WarnOfLANs are the warnings of a topology on the host of one of its nodes: a subnet there that
// holds podCIDRs. On any other host there are none.
func WarnOfLANs(t *schema.Topology, node *schema.Node, addrs []HostAddr) []schema.Fault {
	var pods []netip.Prefix
	here := false
	for i := range t.Nodes {
		pods = append(pods, t.Nodes[i].PodCIDRs...)
	}
	for _, a := range addrs {
		here = here || a.Addr() == node.IP || a.Addr() == node.LocalIP
	}
	var out []schema.Fault
	for _, a := range addrs {
		if !here || a.Link == t.Network.Bridge.Name || a.Link == t.Network.VXLAN.Name || !a.IsValid() || a.IsSingleIP() {
			continue
		}
		if lan := a.over(pods); lan.count > 0 {
			out = append(out,
				schema.Fault{Line: node.Line, Column: 1, Field: "nodes", Message: lan.String(), Remedy: lan.choice()})
		}
	}
	return out
}
