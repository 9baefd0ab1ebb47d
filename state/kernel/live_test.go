package kernel_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/statetest"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

func same(t *testing.T, node *kernel.Node, want *state.Set) {
	t.Helper()
	todo, _ := statetest.Changes(t, node, want)
	for _, cs := range todo {
		for _, c := range cs {
			t.Errorf("still to %s: %s %s: have %v, want %v", c.Op, c.Kind, c.Object().Name(), c.Have, c.Want)
		}
	}
}

// What is made reads back as what was wanted, for every kind, in every family, and goes again
// without a trace.
func TestEveryKindComesAndGoes(t *testing.T) {
	for _, example := range []string{"minimal", "dual-stack", "ipv6-only", "ipv6-underlay", "no-masquerade", "full"} {
		t.Run(example, func(t *testing.T) {
			node, paths := statetest.Host(t)
			before := dump(t)
			topology := statetest.Load(t, "../../examples/"+example+".yaml")
			facts, err := node.Facts(&topology.Nodes[0])
			if err != nil {
				t.Fatal(err)
			}
			want := statetest.Desired(t, topology, topology.Nodes[0].Name, facts, paths)
			statetest.Converge(t, node, want)
			same(t, node, want)
			statetest.Converge(t, node, new(state.Set))
			same(t, node, new(state.Set))
			if d := cmp.Diff(before, dump(t)); d != "" {
				t.Errorf("left behind (-before +after):\n%s", d)
			}
		})
	}
}

// dump is what the usual tools print of a namespace, apart from host-wide settings and the
// neighbours that the kernel learns.
func dump(t *testing.T) string {
	t.Helper()
	out := ""
	for _, c := range []string{
		"ip -o link", "ip -o addr show scope global", "ip -4 route show table all", "ip -6 route show table main", "ip neigh show nud permanent", "bridge fdb",
	} {
		for line := range strings.Lines(lab.Sh(t, c)) {
			if !strings.Contains(line, "33:33:") && !strings.Contains(line, "linkdown") {
				out += line
			}
		}
	}
	return out
}

// Each failure in a batch belongs to its own object, and the rest is done.
func TestBatchNamesTheObjectThatFailed(t *testing.T) {
	node, paths := statetest.Host(t)
	topology := statetest.Load(t, "../../examples/minimal.yaml")
	facts, err := node.Facts(&topology.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	want := statetest.Desired(t, topology, topology.Nodes[0].Name, facts, paths)
	const peers = 700 // several writes
	for i := range peers {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, byte(i / 256), byte(i % 256)}), 32)
		want.Routes.Add(state.Route{Dst: p, Via: p.Addr(), Device: "podnet.1", Metric: state.PeerMetric(p), Onlink: true}, state.OwnNode)
	}
	taken := map[string]bool{"10.99.0.7/32": true, "10.99.1.44/32": true, "10.99.2.187/32": true}
	for dst := range taken {
		lab.Sh(t, fmt.Sprintf("ip route add %s dev eth0 metric %d", dst, state.PeerMetric(netip.MustParsePrefix(dst))))
	}
	todo, live := statetest.Changes(t, node, want)
	for k := range state.Kind(state.KindCount) {
		node.Apply(k, todo[k])
	}
	for _, c := range todo[state.KindRoute] {
		if failed := errors.Is(c.Err, syscall.EEXIST); failed != taken[c.Want.Name()] {
			t.Errorf("%s: %v", c.Want.Name(), c.Err)
		} else if failed && !strings.Contains(c.Err.Error(), c.Want.Name()) {
			t.Errorf("the error does not name the route: %v", c.Err)
		}
	}
	if got := strings.Count(lab.Sh(t, "ip route show proto 72"), "\n"); got != peers-len(taken)+1 {
		t.Errorf("%d routes, want %d", got, peers-len(taken)+1)
	}
	for _, c := range live.Conflicts {
		if !c.Blocks || !taken[c.Name] {
			t.Errorf("conflict %+v", c)
		}
		delete(taken, c.Name)
	}
	if len(taken) > 0 {
		t.Errorf("not reported: %v", taken)
	}
}

// Deleting podnet's route leaves another's to the same place alone.
func TestDeleteIsExact(t *testing.T) {
	node, paths := statetest.Host(t)
	topology := statetest.Load(t, "../../examples/minimal.yaml")
	facts, _ := node.Facts(&topology.Nodes[0])
	want := statetest.Desired(t, topology, topology.Nodes[0].Name, facts, paths)
	statetest.Converge(t, node, want)
	dst := want.Routes.Rows()[0].Dst.String()
	foreign := fmt.Sprintf("ip route append %s via 192.0.2.99 dev eth0 metric %d proto static", dst, want.Routes.Rows()[0].Metric)
	lab.Sh(t, foreign)
	fdb := want.FDB.Rows()[0]
	lab.Sh(t, "bridge fdb del "+fdb.MAC.String()+" dev podnet.1")
	gone := new(state.Set)
	*gone = *want
	gone.Routes = state.Table[state.Route]{}
	todo, _ := statetest.Changes(t, node, gone)
	node.Apply(state.KindRoute, todo[state.KindRoute])
	if routes := lab.Sh(t, "ip route show "+dst); !strings.Contains(routes, "proto static") || strings.Contains(routes, "proto 72") {
		t.Errorf("routes to %s:\n%s", dst, routes)
	}
	if c := todo[state.KindFDB]; len(c) != 1 || c[0].Want != state.Resource(fdb) {
		t.Errorf("FDB changes %v", c)
	}
}

// Foreign objects in the way are seen, described with their remedy, and left alone.
func TestConflicts(t *testing.T) {
	for _, c := range []struct {
		name, damage, object string
		blocks               bool
		remedy               string
	}{
		{"bridge", "ip link add cni0 type bridge", "cni0", true, "ip link set cni0 group 7200"},
		{"other type", "ip link add podnet.1 type bridge", "podnet.1", true, "ip link del podnet.1"},
		{"more specific route", "ip route add 10.244.1.0/25 via 192.0.2.1 dev eth0 proto static", "10.244.1.0/25", false,
			"ip route del 10.244.1.0/25 via 192.0.2.1 dev eth0 metric 0"},
		{"preferred route", "ip route add 10.244.1.0/24 via 192.0.2.1 dev eth0", "10.244.1.0/24", false,
			"ip route del 10.244.1.0/24 via 192.0.2.1 dev eth0 metric 0"},
		{"strict reverse path filter", "sysctl -qw net/ipv4/conf/all/rp_filter=1", "net/ipv4/conf/podnet.1/rp_filter", false,
			"sysctl -w net/ipv4/conf/podnet.1/rp_filter=2"},
		{"IPv6 route", "ip -6 route add fd00:10:244:1::/64 via 2001:db8::1 dev eth0 metric 1024", "fd00:10:244:1::/64", true,
			"ip -6 route del fd00:10:244:1::/64 via 2001:db8::1 dev eth0 metric 1024"},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, paths := statetest.Host(t)
			lab.Sh(t, c.damage)
			want := statetest.Desired(t, statetest.Load(t, "../../examples/dual-stack.yaml"), "node-a", statetest.Ethernet(), paths)
			_, live := statetest.Changes(t, node, want)
			if len(live.Conflicts) != 1 {
				t.Fatalf("conflicts: %+v", live.Conflicts)
			}
			got := live.Conflicts[0]
			t.Log(got.Object(), got.Owner)
			if got.Object() != c.object || got.Blocks != c.blocks || got.Remedy != c.remedy {
				t.Errorf("conflict %q blocks %v remedy %q", got.Object(), got.Blocks, got.Remedy)
			}
		})
	}
	t.Run("aggregate is none", func(t *testing.T) {
		node, paths := statetest.Host(t)
		lab.Sh(t, "ip route add 10.244.0.0/16 via 192.0.2.1 dev eth0")
		_, live := statetest.Changes(t, node, statetest.Desired(t, statetest.Load(t, "../../examples/dual-stack.yaml"), "node-a", statetest.Ethernet(), paths))
		if len(live.Conflicts) > 0 {
			t.Errorf("conflicts: %+v", live.Conflicts)
		}
	})
}

func TestFacts(t *testing.T) {
	node, _ := statetest.Host(t)
	lab.Sh(t, "ip link set eth0 mtu 1400")
	for _, c := range []struct {
		ip       string
		underlay string
		mtu      int
		local    bool
	}{
		{"192.0.2.11", "eth0", 1400, true},
		{"192.0.2.99", "", 0, false},
		{"127.0.0.1", "", 0, true},
	} {
		f, err := node.Facts(&schema.Node{IP: netip.MustParseAddr(c.ip)})
		if err != nil || f.Underlay != c.underlay || f.UnderlayMTU != c.mtu || f.IPLocal != c.local || !f.IPv6 {
			t.Errorf("Facts(%s) = %+v, %v", c.ip, f, err)
		}
	}
	lab.Sh(t, "ip route add default via 192.0.2.1")
	if f, err := node.Facts(&schema.Node{IP: netip.MustParseAddr("127.0.0.1")}); err != nil || f.Underlay != "eth0" {
		t.Errorf("an address on lo is carried by the default route's link: %+v, %v", f, err)
	}
}

// A link is told to go on listening to routers when the host is about to forward, unless only
// guests can be behind it.
func TestRAListeners(t *testing.T) {
	node, _ := statetest.Host(t)
	lab.Sh(t, "ip link add link eth0 name uplink0 type macvlan")
	lab.Sh(t, "ip link add docker0 type bridge")
	lab.Sh(t, "ip link add virbr0 type bridge")
	lab.Sh(t, "ip link set virbr0 up")
	lab.Sh(t, "ip -6 route add default via 2001:db8:1::1 dev virbr0 onlink proto ra")
	lab.Sh(t, "ip link add link eth0 name odd0 type macvlan")
	lab.Sh(t, "sysctl -qw net.ipv6.conf.odd0.forwarding=1")
	entry := &statetest.Load(t, "../../examples/ipv6-only.yaml").Nodes[0]
	entry.IP = netip.MustParseAddr("192.0.2.11")
	for _, c := range []struct{ do, want string }{
		{"true", "eth0 uplink0 virbr0"},
		{"sysctl -qw net.ipv6.conf.uplink0.accept_ra=2", "eth0 virbr0"},
		{"sysctl -qw net.ipv6.conf.all.forwarding=1", ""},
	} {
		lab.Sh(t, c.do)
		if f, err := node.Facts(entry); err != nil || strings.Join(f.RAListeners, " ") != c.want {
			t.Errorf("after %s: listeners to router advertisements: %v, %v; want %s", c.do, f.RAListeners, err, c.want)
		}
	}
}
