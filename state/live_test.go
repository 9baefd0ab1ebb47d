package state_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"golang.org/x/sys/unix"
)

// host makes a network namespace with an underlay link for the calling test alone, and opens the node in it.
func host(t *testing.T) (*state.Node, state.Paths) {
	t.Helper()
	runtime.LockOSThread() // for good: the thread ends with the test's goroutine, and the namespace with it
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	run(t, "ip link set lo up")
	run(t, "ip link add eth0 type veth peer name switch0")
	run(t, "ip link set eth0 up")
	run(t, "ip link set switch0 up")
	run(t, "ip addr add 192.0.2.11/24 dev eth0")
	run(t, "ip addr add 2001:db8::11/64 dev eth0 nodad")
	for deadline := time.Now().Add(10 * time.Second); strings.Count(run(t, "ip -o link show up"), " state UP ") < 2; { // the kernel takes its time
		if time.Now().After(deadline) {
			t.Fatal("the underlay link does not come up")
		}
	}
	paths := state.DefaultPaths(t.TempDir())
	node, err := state.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	return node, paths
}

func run(t *testing.T, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}

// changes are what turns the live node into want, by kind.
func changes(t *testing.T, node *state.Node, want *state.Set) (map[state.Kind][]*state.Change, *state.Live) {
	t.Helper()
	live, err := node.Live(want)
	if err != nil {
		t.Fatal(err)
	}
	byKind := map[state.Kind][]*state.Change{}
	for k := range state.Kind(state.KindCount) {
		if live.Unknown[k] != nil {
			t.Errorf("%s: %v", k, live.Unknown[k])
		}
		want.Diff(&live.Set, k, func(c state.Change) { byKind[k] = append(byKind[k], &c) })
	}
	return byKind, live
}

// converge applies everything: creations in order, deletions backwards.
func converge(t *testing.T, node *state.Node, want *state.Set) {
	t.Helper()
	todo, _ := changes(t, node, want)
	apply := func(k state.Kind, is func(*state.Change) bool) {
		var batch []*state.Change
		for _, c := range todo[k] {
			if is(c) {
				batch = append(batch, c)
			}
		}
		node.Apply(k, batch)
		for _, c := range batch {
			if c.Err != nil {
				t.Error(c.Err)
			}
		}
	}
	for k := range state.Kind(state.KindCount) {
		apply(k, func(c *state.Change) bool { return c.Op != state.Delete })
	}
	for k := state.KindCount - 1; k >= 0; k-- {
		apply(state.Kind(k), func(c *state.Change) bool { return c.Op == state.Delete })
	}
}

func same(t *testing.T, node *state.Node, want *state.Set) {
	t.Helper()
	todo, _ := changes(t, node, want)
	for _, cs := range todo {
		for _, c := range cs {
			t.Errorf("still to %s: %s %s: have %v, want %v", c.Op, c.Kind, c.Object().Name(), c.Have, c.Want)
		}
	}
}

// What is made reads back as what was wanted, for every kind, in every family, and goes again without a trace.
func TestEveryKindComesAndGoes(t *testing.T) {
	for _, example := range []string{"minimal", "dual-stack", "ipv6-only", "ipv6-underlay", "no-masquerade", "full"} {
		t.Run(example, func(t *testing.T) {
			node, paths := host(t)
			before := kernel(t)
			topology := load(t, "../examples/"+example+".yaml")
			facts, err := node.Facts(&topology.Nodes[0])
			if err != nil {
				t.Fatal(err)
			}
			want := desired(t, topology, topology.Nodes[0].Name, facts, paths)
			converge(t, node, want)
			same(t, node, want)
			converge(t, node, new(state.Set))
			same(t, node, new(state.Set))
			if d := cmp.Diff(before, kernel(t)); d != "" {
				t.Errorf("left behind (-before +after):\n%s", d)
			}
		})
	}
}

// kernel is what the usual tools print of a namespace, apart from host-wide settings and the neighbours that the kernel learns.
func kernel(t *testing.T) string {
	t.Helper()
	out := ""
	for _, c := range []string{
		"ip -o link", "ip -o addr show scope global", "ip -4 route show table all", "ip -6 route show table main", "ip neigh show nud permanent", "bridge fdb",
	} {
		for line := range strings.Lines(run(t, c)) {
			if !strings.Contains(line, "33:33:") && !strings.Contains(line, "linkdown") {
				out += line
			}
		}
	}
	return out
}

// Each failure in a batch belongs to its own object, and the rest is done.
func TestBatchNamesTheObjectThatFailed(t *testing.T) {
	node, paths := host(t)
	topology := load(t, "../examples/minimal.yaml")
	facts, err := node.Facts(&topology.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	want := desired(t, topology, topology.Nodes[0].Name, facts, paths)
	const peers = 700 // several writes
	for i := range peers {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 99, byte(i / 256), byte(i % 256)}), 32)
		want.Routes.Add(state.Route{Dst: p, Via: p.Addr(), Device: "podnet.1", Metric: state.PeerMetric(p), Onlink: true}, state.OwnNode)
	}
	taken := map[string]bool{"10.99.0.7/32": true, "10.99.1.44/32": true, "10.99.2.187/32": true}
	for dst := range taken {
		run(t, fmt.Sprintf("ip route add %s dev eth0 metric %d", dst, state.PeerMetric(netip.MustParsePrefix(dst))))
	}
	todo, live := changes(t, node, want)
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
	if got := strings.Count(run(t, "ip route show proto 72"), "\n"); got != peers-len(taken)+1 {
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
	node, paths := host(t)
	topology := load(t, "../examples/minimal.yaml")
	facts, _ := node.Facts(&topology.Nodes[0])
	want := desired(t, topology, topology.Nodes[0].Name, facts, paths)
	converge(t, node, want)
	dst := want.Routes.Rows()[0].Dst.String()
	foreign := fmt.Sprintf("ip route append %s via 192.0.2.99 dev eth0 metric %d proto static", dst, want.Routes.Rows()[0].Metric)
	run(t, foreign)
	fdb := want.FDB.Rows()[0]
	run(t, "bridge fdb del "+fdb.MAC.String()+" dev podnet.1")
	gone := new(state.Set)
	*gone = *want
	gone.Routes = state.Table[state.Route]{}
	todo, _ := changes(t, node, gone)
	node.Apply(state.KindRoute, todo[state.KindRoute])
	if routes := run(t, "ip route show "+dst); !strings.Contains(routes, "proto static") || strings.Contains(routes, "proto 72") {
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
			node, paths := host(t)
			run(t, c.damage)
			want := desired(t, load(t, "../examples/dual-stack.yaml"), "node-a", ethernet, paths)
			_, live := changes(t, node, want)
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
		node, paths := host(t)
		run(t, "ip route add 10.244.0.0/16 via 192.0.2.1 dev eth0")
		_, live := changes(t, node, desired(t, load(t, "../examples/dual-stack.yaml"), "node-a", ethernet, paths))
		if len(live.Conflicts) > 0 {
			t.Errorf("conflicts: %+v", live.Conflicts)
		}
	})
}

func TestFacts(t *testing.T) {
	node, _ := host(t)
	run(t, "ip link set eth0 mtu 1400")
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
	run(t, "ip route add default via 192.0.2.1")
	if f, err := node.Facts(&schema.Node{IP: netip.MustParseAddr("127.0.0.1")}); err != nil || f.Underlay != "eth0" {
		t.Errorf("an address on lo is carried by the default route's link: %+v, %v", f, err)
	}
}

// A link is told to go on listening to routers when the host is about to forward, unless only guests can be behind it.
func TestRAListeners(t *testing.T) {
	node, _ := host(t)
	run(t, "ip link add link eth0 name uplink0 type macvlan")
	run(t, "ip link add docker0 type bridge")
	run(t, "ip link add virbr0 type bridge")
	run(t, "ip link set virbr0 up")
	run(t, "ip -6 route add default via 2001:db8:1::1 dev virbr0 onlink proto ra")
	run(t, "ip link add link eth0 name odd0 type macvlan")
	run(t, "sysctl -qw net.ipv6.conf.odd0.forwarding=1")
	entry := &load(t, "../examples/ipv6-only.yaml").Nodes[0]
	entry.IP = netip.MustParseAddr("192.0.2.11")
	for _, c := range []struct{ do, want string }{
		{"true", "eth0 uplink0 virbr0"},
		{"sysctl -qw net.ipv6.conf.uplink0.accept_ra=2", "eth0 virbr0"},
		{"sysctl -qw net.ipv6.conf.all.forwarding=1", ""},
	} {
		run(t, c.do)
		if f, err := node.Facts(entry); err != nil || strings.Join(f.RAListeners, " ") != c.want {
			t.Errorf("after %s: listeners to router advertisements: %v, %v; want %s", c.do, f.RAListeners, err, c.want)
		}
	}
}
