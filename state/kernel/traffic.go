package kernel

import (
	"net"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// Traffic returns what has to get through this host's packet filters. A tunnel that ends at an
// address of one link has its packets come in there. An address that stands for the host as a
// whole, on lo or a dummy device or without neighbours, can be reached by any.
func (n *Node) Traffic(want *state.Set) firewall.Traffic {
	t := firewall.TrafficOf(want)
	for _, a := range n.Addrs {
		if p := prefixOf(a.IPNet); t.Local.IsValid() && p.Addr() == t.Local && !p.IsSingleIP() {
			if l := n.Links[n.Name(a.LinkIndex)]; l != nil && l.Attrs().Flags&net.FlagLoopback == 0 && l.Type() != "dummy" {
				t.Underlay = l.Attrs().Name
			}
		}
	}
	return t
}

// Barrier says what would drop packets of a node's pods if podnet's chains were those of nftables,
// and the command that ends it; "": nothing.
func (n *Node) Barrier(bridge, tunnel string, node *schema.Node) (what, remedy string, err error) {
	t := firewall.Traffic{Bridge: bridge, Tunnel: tunnel, Underlay: verdict.Unknown}
	for _, p := range node.PodCIDRs {
		t.IPv4 = t.IPv4 || p.Addr().Is4()
		t.IPv6 = t.IPv6 || p.Addr().Is6()
	}
	return n.Firewall.Barrier(t)
}

func listChains(n *Node, want *state.Set, live *state.Live) error {
	return n.Firewall.List(n.Traffic(want), live)
}

func applyChains(n *Node, changes []*state.Change) { n.Firewall.Apply(changes) }
