// Package statetest has what the tests of several packages of state begin with: a topology, what it
// asks for, and a node to have it in.
package statetest

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/lab"
)

// Ethernet returns the facts of a host with an ordinary link.
func Ethernet() state.Facts {
	return state.Facts{Underlay: "eth0", UnderlayMTU: 1500, IPLocal: true, IPv6: true}
}

// Load reads a topology.
func Load(t *testing.T, path string) *schema.Topology {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	topology, err := schema.Parse(path, data)
	if err != nil {
		t.Fatal(err)
	}
	return topology
}

// Desired returns what a node of the topology should hold.
func Desired(t *testing.T, topology *schema.Topology, node string, facts state.Facts, paths state.Paths) *state.Set {
	t.Helper()
	set, err := state.Desired(topology, topology.Node(node), facts, paths)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Host makes a network namespace with an underlay link for the calling test alone, and opens the
// node in it.
func Host(t *testing.T) (*kernel.Node, state.Paths) {
	t.Helper()
	node, paths := apart(t)
	lab.Sh(t, "ip link set lo up")
	lab.Sh(t, "ip link add eth0 type veth peer name switch0")
	lab.Sh(t, "ip link set eth0 up")
	lab.Sh(t, "ip link set switch0 up")
	lab.Sh(t, "ip addr add 192.0.2.11/24 dev eth0")
	lab.Sh(t, "ip addr add 2001:db8::11/64 dev eth0 nodad")
	for deadline := time.Now().
		Add(10 * time.Second); strings.Count(lab.Sh(t, "ip -o link show up"), " state UP ") < 2; { // the kernel takes its time
		if time.Now().After(deadline) {
			t.Fatal("the underlay link does not come up")
		}
	}
	return node, paths
}

// Apart opens a node in a network namespace for the calling test alone, which has nothing but a
// loopback link that is down.
func Apart(t *testing.T) *kernel.Node {
	t.Helper()
	node, _ := apart(t)
	return node
}

func apart(t *testing.T) (*kernel.Node, state.Paths) {
	t.Helper()
	lab.Apart(t)
	paths := state.DefaultPaths(t.TempDir())
	node, err := kernel.Open(paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	return node, paths
}

// Changes returns what turns the live node into want, by kind.
func Changes(t *testing.T, node *kernel.Node, want *state.Set) (map[state.Kind][]*state.Change, *state.Live) {
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

// Converge applies everything: creations in order, deletions backwards.
func Converge(t *testing.T, node *kernel.Node, want *state.Set) {
	t.Helper()
	todo, _ := Changes(t, node, want)
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
