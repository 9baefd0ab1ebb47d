package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// clusterOf is a valid topology of n nodes, n1 being the first; edit may make a template's mistake
// in it.
func clusterOf(n int, edit func(*schema.Topology)) *schema.Topology {
	t := &schema.Topology{
		Name: "lab", Safety: schema.Safety{MaxDisruptedPeersPercent: 10},
		Network: schema.Network{VXLAN: schema.VXLAN{Name: "podnet.1", VNI: 1, Port: 8472}, Bridge: schema.Bridge{Name: "cni0"},
			CNI: schema.CNI{Name: "podnet", Versions: []string{"1.0.0"}}},
	}
	for i := range n {
		name := fmt.Sprintf("n%d", i+1)
		t.Nodes = append(t.Nodes, schema.Node{
			Name: name, IP: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), VTEPMAC: schema.DeriveVTEPMAC("lab", name),
			PodCIDRs: []netip.Prefix{
				netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i), 0}), 24),
				netip.MustParsePrefix(fmt.Sprintf("fd00:10:244:%x::/64", i+1)),
			},
		})
	}
	if edit != nil {
		edit(t)
	}
	return t
}

// eachPeer edits every node but the first, which is this one.
func eachPeer(do func(*schema.Node, int)) func(*schema.Topology) {
	return func(t *schema.Topology) {
		for i := 1; i < len(t.Nodes); i++ {
			do(&t.Nodes[i], i)
		}
	}
}

func TestGuard(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		name   string
		edit   func(*schema.Topology)
		pods   bool
		passes bool
		says   []string
	}{
		{"nothing changed", func(*schema.Topology) {}, true, true, []string{"0 of 20 peers disrupted (limit 10 %)"}},
		{"as many leave as may", func(t *schema.Topology) { t.Nodes = t.Nodes[:19] }, true, true, []string{"2 of 20 peers leave unnamed (limit 10 %)"}},
		{"one more", func(t *schema.Topology) { t.Nodes = t.Nodes[:18] }, true, false,
			[]string{"drops 3 of 20 peers, none named in removedNodes: n19, n20, n21 (limit 2)", "last entries", "18 now and 21 before", "cut off", "removedNodes", "--allow-disruption"}},
		{"half, all of them named", func(t *schema.Topology) {
			for _, n := range t.Nodes[11:] {
				t.RemovedNodes = append(t.RemovedNodes, n.Name)
			}
			t.Nodes = t.Nodes[:11]
		}, true, true, []string{"0 of 20"}},
		{"all but this node", func(t *schema.Topology) { t.Nodes = t.Nodes[:1] }, true, false, []string{"drops 20 of 20 peers", "n2 .. n21"}},
		{"one moves, one leaves", func(t *schema.Topology) { t.Nodes[1].IP = netip.MustParseAddr("192.0.2.99"); t.Nodes = t.Nodes[:20] },
			true, true, []string{"2 of 20 peers disrupted"}},
		{"nodes come", func(t *schema.Topology) { t.Nodes = clusterOf(60, nil).Nodes }, true, true, []string{"0 of 20"}},
		{"all podCIDRs shifted by one", eachPeer(func(n *schema.Node, i int) { n.PodCIDRs = clusterOf(30, nil).Nodes[i+1].PodCIDRs }), true, false,
			[]string{"changes 20 of 20 peers: n2 .. n21", "n2: podCIDRs 10.244.1.0/24,", "19 of them have the podCIDRs that another node had", "shifted"}},
		{"this node's shifted too", func(t *schema.Topology) {
			for i, n := range clusterOf(22, nil).Nodes[1:] {
				t.Nodes[i].PodCIDRs = n.PodCIDRs
			}
		}, true, false, []string{"podCIDRs of n1, this node, changes from 10.244.0.0/24", "it has pods"}},
		{"another cluster range", eachPeer(func(n *schema.Node, i int) { n.PodCIDRs = []netip.Prefix{prefix(fmt.Sprintf("10.99.%d.0/24", i))} }), true, false,
			[]string{"podCIDRs of 20 of 20", "another cluster range"}},
		{"all ips of another interface", eachPeer(func(n *schema.Node, i int) { n.IP = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }), true, false,
			[]string{"changes 20 of 20 peers", "ip 192.0.2.2 -> 10.0.0.1", "another interface"}},
		{"all ips shifted by one", eachPeer(func(n *schema.Node, i int) { n.IP = n.IP.Next() }), true, false, []string{"the ip that another node had"}},
		{"a family dropped", eachPeer(func(n *schema.Node, _ int) { n.PodCIDRs = n.PodCIDRs[:1] }), true, false, []string{"lose the ranges of one family"}},
		{"no podCIDRs at all", eachPeer(func(n *schema.Node, _ int) { n.PodCIDRs = nil }), true, false, []string{"10.244.1.0/24,fd00:10:244:2::/64 -> none"}},
		{"MACs set", eachPeer(func(n *schema.Node, i int) { n.VTEPMAC = schema.MAC{2, 0, 0, 0, 0, byte(i)} }), true, false, []string{"VTEP MAC of 20 of 20", "vtepMAC"}},
		{"full names", eachPeer(func(n *schema.Node, _ int) { n.Name += ".example.net" }), true, false,
			[]string{"drops 20 of 20", "20 of them are there under other names (n2 is now n2.example.net)"}},
		{"one renamed", func(t *schema.Topology) { t.Nodes[4].Name = "other" }, true, true, []string{"1 of 20 peers leaves unnamed"}},
		{"another cluster's file", func(t *schema.Topology) { t.Name = "prod"; t.Nodes = t.Nodes[:1] }, true, false,
			[]string{"metadata.name changes from lab to prod", "drops 20", "another cluster"}},
		{"another cluster of the same name", func(t *schema.Topology) {
			eachPeer(func(n *schema.Node, i int) { n.Name, n.IP = "x"+n.Name, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) })(t)
		}, true, false, []string{"another cluster"}},
		{"metadata.name alone", func(t *schema.Topology) { t.Name = "lab2" }, false, false, []string{"metadata.name changes from lab to lab2"}},
		{"vni", func(t *schema.Topology) { t.Network.VXLAN.VNI = 2 }, false, false, []string{"network.vxlan.vni changes from 1 to 2", "if this is meant"}},
		{"port", func(t *schema.Topology) { t.Network.VXLAN.Port = 4789 }, false, false, []string{"network.vxlan.port changes from 8472 to 4789"}},
		{"bridge under pods", func(t *schema.Topology) { t.Network.Bridge.Name = "cni1" }, true, false, []string{"network.bridge.name changes from cni0 to cni1", "pods"}},
		{"bridge without pods", func(t *schema.Topology) { t.Network.Bridge.Name = "cni1" }, false, true, nil},
		{"cni.name under pods", func(t *schema.Topology) { t.Network.CNI.Name = "other" }, true, false,
			[]string{"network.cni.name changes from podnet to other", "leased under podnet", "given out again"}},
		{"cni.name without pods", func(t *schema.Topology) { t.Network.CNI.Name = "other" }, false, true, nil},
		{"own podCIDRs under pods", func(t *schema.Topology) { t.Nodes[0].PodCIDRs = []netip.Prefix{prefix("10.244.77.0/24")} }, true, false,
			[]string{"podCIDRs of n1, this node, changes from 10.244.0.0/24,fd00:10:244:1::/64 to 10.244.77.0/24"}},
		{"own podCIDRs without pods", func(t *schema.Topology) { t.Nodes[0].PodCIDRs = []netip.Prefix{prefix("10.244.77.0/24")} }, false, true, nil},
		{"own ip", func(t *schema.Topology) { t.Nodes[0].IP = netip.MustParseAddr("192.0.2.200") }, true, true, nil},
		{"own name, by its ip, and podCIDRs", func(t *schema.Topology) {
			t.Nodes[0].Name, t.Nodes[0].PodCIDRs = "new", []netip.Prefix{prefix("10.244.77.0/24")}
		}, true, false, []string{"podCIDRs of new, this node,"}},
		{"the limit raised by the file itself", func(t *schema.Topology) { t.Safety.MaxDisruptedPeersPercent = 100; t.Nodes = t.Nodes[:1] }, true, false, []string{"(limit 2)"}},
		{"MTU, masquerading, another name of the device", func(t *schema.Topology) {
			t.Network.MTU, t.Network.Masquerade.Enabled, t.Network.VXLAN.Name = 1400, true, "vx0"
		}, true, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, next := clusterOf(21, nil), clusterOf(21, c.edit)
			own := &next.Nodes[0]
			g := examine(pastOf(before, earlier(before, own)), next, own, c.pods)
			if g.Passes != c.passes {
				t.Errorf("passes: %v, want %v: %s", g.Passes, c.passes, g.Message)
			}
			for _, says := range c.says {
				if !strings.Contains(g.Message, says) {
					t.Errorf("the message lacks %q: %s", says, g.Message)
				}
			}
		})
	}
}

// The percentage is rounded up, so that in a small cluster one node may always go, unless none may.
func TestGuardLimit(t *testing.T) {
	for _, c := range []struct{ peers, percent, may int }{
		{1, 10, 1}, {3, 10, 1}, {10, 10, 1}, {11, 10, 2}, {199, 10, 20}, {5, 0, 0}, {5, 100, 5}, {3, 50, 2},
	} {
		before := clusterOf(c.peers+1, func(t *schema.Topology) { t.Safety.MaxDisruptedPeersPercent = c.percent })
		for gone := range c.peers + 1 {
			next := clusterOf(c.peers+1-gone, nil)
			if g := examine(pastOf(before, &before.Nodes[0]), next, &next.Nodes[0], true); g.Passes != (gone <= c.may) {
				t.Errorf("%d of %d peers gone at %d %%: %+v", gone, c.peers, c.percent, g)
			}
		}
	}
}

// What is nobody's peer yet cannot be disrupted.
func TestGuardOfUnallocated(t *testing.T) {
	before := clusterOf(10, eachPeer(func(n *schema.Node, _ int) { n.PodCIDRs = nil }))
	for _, next := range []*schema.Topology{clusterOf(10, nil), clusterOf(1, nil)} {
		if g := examine(pastOf(before, &before.Nodes[0]), next, &next.Nodes[0], true); !g.Passes {
			t.Errorf("%+v", g)
		}
	}
}

// kernelOf is what a node's kernel holds that follows t, as its first node.
func kernelOf(t *testing.T, topology *schema.Topology) *state.Live {
	t.Helper()
	set, err := state.Desired(topology, &topology.Nodes[0], state.Facts{IPv6: true, UnderlayMTU: 1500}, state.DefaultPaths(""))
	if err != nil {
		t.Fatal(err)
	}
	return &state.Live{Set: *set}
}

// Without a topology in force, the kernel's peers are what a file must not disrupt.
func TestGuardByKernel(t *testing.T) {
	withoutIPv6 := func(t *schema.Topology) {
		for i := range t.Nodes {
			t.Nodes[i].PodCIDRs = t.Nodes[i].PodCIDRs[:1]
		}
	}
	for _, c := range []struct {
		name   string
		edit   func(*schema.Topology)
		passes bool
		says   string
	}{
		{"the same", nil, true, "0 of 20 peers"},
		{"more nodes", func(t *schema.Topology) { t.Nodes = clusterOf(40, nil).Nodes }, true, "0 of 20"},
		{"cut", func(t *schema.Topology) { t.Nodes = t.Nodes[:5] }, false, "drops 16 of 20 peers, none named in removedNodes: 192.0.2.6 .. 192.0.2.21"},
		{"cut, and all named", func(t *schema.Topology) {
			for _, n := range t.Nodes[5:] {
				t.RemovedNodes = append(t.RemovedNodes, n.Name)
			}
			t.Nodes = t.Nodes[:5]
		}, true, "0 of 20"},
		{"ips", eachPeer(func(n *schema.Node, i int) { n.IP = netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}) }), false, "changes 20 of 20"},
		{"podCIDRs shifted", eachPeer(func(n *schema.Node, i int) { n.PodCIDRs = clusterOf(30, nil).Nodes[i+1].PodCIDRs }), false, "shifted"},
		{"a family dropped", withoutIPv6, false, "podCIDRs"},
		{"another cluster", func(t *schema.Topology) {
			*t = *clusterOf(21, eachPeer(func(n *schema.Node, _ int) { n.VTEPMAC[5]++ }))
		}, false, "drops 20"},
		{"own podCIDRs", func(t *schema.Topology) { t.Nodes[0].PodCIDRs = t.Nodes[0].PodCIDRs[:1] }, false, "podCIDRs of n1, this node,"},
		{"vni", func(t *schema.Topology) { t.Network.VXLAN.VNI = 9 }, false, "vni"},
		{"bridge", func(t *schema.Topology) { t.Network.Bridge.Name = "br9" }, false, "bridge.name"},
		{"cni.name", func(t *schema.Topology) { t.Network.CNI.Name = "other" }, false, "cni.name changes from podnet to other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			next := clusterOf(21, c.edit)
			own := &next.Nodes[0]
			g := examine(pastInKernel(kernelOf(t, clusterOf(21, nil)), next, own), next, own, true)
			if g.Passes != c.passes || !strings.Contains(g.Message, c.says) {
				t.Errorf("passes %v, want %v and %q: %s", g.Passes, c.passes, c.says, g.Message)
			}
		})
	}
}

// A kernel that has lost entries has not disrupted anybody by that, and a stray entry of a peer is
// no change of it.
func TestGuardByDamagedKernel(t *testing.T) {
	next := clusterOf(21, nil)
	live := kernelOf(t, next)
	entries := slices.Clone(live.FDB.Rows())
	live.FDB, live.Routes = state.Table[state.FDB]{}, state.Table[state.Route]{}
	for i, e := range entries {
		stray := e
		stray.Dst = netip.MustParseAddr("198.51.100.1")
		live.FDB.Add(stray, state.OwnNode)
		if i > 0 { // the first has no other entry
			live.FDB.Add(e, state.OwnNode)
		}
	}
	own := &next.Nodes[0]
	if g := examine(pastInKernel(live, next, own), next, own, true); !g.Passes || !strings.Contains(g.Message, "1 of 20 peers disrupted") {
		t.Errorf("%+v", g)
	}
	if g := examine(pastInKernel(&state.Live{}, next, own), next, own, true); !g.Passes || !strings.Contains(g.Message, "no peers yet") {
		t.Errorf("nothing in the kernel: %+v", g)
	}
}

// The plan of a node that has lost the topology in force names the peers whose objects it takes
// away, or changes.
func TestPlanByKernel(t *testing.T) {
	next := clusterOf(21, func(t *schema.Topology) {
		t.Nodes = t.Nodes[:5]
		t.RemovedNodes = []string{"n20"}
		t.Nodes[2].IP = netip.MustParseAddr("10.0.0.3")
	})
	p := NewPlan(View{Topology: next, Node: &next.Nodes[0], Want: &kernelOf(t, next).Set}, kernelOf(t, clusterOf(21, nil)))
	sum := p.Summarize(p.PeerChanges())
	if want := (PeerCounts{Added: 0, Changed: 1, Removed: 16, Unchanged: 3}); sum.Peers != want {
		t.Errorf("got %+v, want %+v", sum.Peers, want)
	}
	said := map[string]string{}
	for _, c := range p.PeerChanges() {
		said[c.Name] = c.Sentence()
	}
	for name, want := range map[string]string{"n3": "ip 192.0.2.3 -> 10.0.0.3", "n20": "named in removedNodes", "192.0.2.21": "NOT named in removedNodes"} {
		if said[name] != want {
			t.Errorf("%s: got %q, want %q (of %v)", name, said[name], want, said)
		}
	}
}

// A range that comes beside those that stay takes no pod's address; one that goes does.
func TestGuardOfOwnRanges(t *testing.T) {
	ipv4, ipv6 := netip.MustParsePrefix("10.244.0.0/24"), netip.MustParsePrefix("fd00:10:244::/64")
	for _, c := range []struct {
		before, now []netip.Prefix
		passes      bool
	}{
		{[]netip.Prefix{ipv4}, []netip.Prefix{ipv4, ipv6}, true},
		{[]netip.Prefix{ipv6}, []netip.Prefix{ipv4, ipv6}, true},
		{[]netip.Prefix{ipv4, ipv6}, []netip.Prefix{ipv6, ipv4}, true},
		{nil, []netip.Prefix{ipv4}, true},
		{[]netip.Prefix{ipv4, ipv6}, []netip.Prefix{ipv4}, false},
		{[]netip.Prefix{ipv4}, []netip.Prefix{ipv6}, false},
		{[]netip.Prefix{ipv4}, nil, false},
	} {
		was := past{Own: &schema.Node{Name: "node-a", PodCIDRs: c.before}}
		got := examine(was, &schema.Topology{}, &schema.Node{Name: "node-a", PodCIDRs: c.now}, true)
		if got.Passes != c.passes {
			t.Errorf("%v to %v: %+v", c.before, c.now, got)
		}
	}
}
