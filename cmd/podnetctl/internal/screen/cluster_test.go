package screen

import (
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// cluster is a topology to be written down; node numbers are made into names and addresses.
type cluster struct {
	network string // lines below network:
	nodes   []int
	moved   map[int]string // other ips
	removed []string
	ipv6    bool
}

func upTo(n int) []int {
	var all []int
	for i := 1; i <= n; i++ {
		all = append(all, i)
	}
	return all
}

func (c cluster) String() string {
	var b strings.Builder
	b.WriteString("apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata:\n  name: lab\nnetwork:\n")
	fmt.Fprintf(&b, "  clusterCIDRs: [10.244.0.0/16, \"fd00:10:244::/48\"]\n%s", c.network)
	if len(c.removed) > 0 {
		fmt.Fprintf(&b, "removedNodes: [%s]\n", strings.Join(c.removed, ", "))
	}
	b.WriteString("nodes:\n")
	for _, n := range c.nodes {
		ip := fmt.Sprintf("192.0.2.%d", n+10)
		if other := c.moved[n]; other != "" {
			ip = other
		}
		cidrs := fmt.Sprintf("10.244.%d.0/24", n)
		if c.ipv6 {
			cidrs += fmt.Sprintf(`", "fd00:10:244:%x::/64`, n)
		}
		fmt.Fprintf(&b, "- name: node-%02d\n  ip: %s\n  podCIDRs: [\"%s\"]\n", n, ip, cidrs)
	}
	return b.String()
}

func (c cluster) parse(t *testing.T, file string) *schema.Topology {
	t.Helper()
	topology, err := schema.Parse(file, []byte(c.String()))
	if err != nil {
		t.Fatalf("%v\n%s", err, c)
	}
	return topology
}

func desired(t *testing.T, topology *schema.Topology, node *schema.Node) *state.Set {
	t.Helper()
	facts := state.Facts{Underlay: "eno1", UnderlayMTU: 1500, IPLocal: true, IPv6: true}
	set, err := state.Desired(topology, node, facts, state.DefaultPaths(""))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

const (
	inPlace = "/etc/podnet/topology.yaml"
	next    = "/etc/podnet/topology.next.yaml"
	self    = "node-01"
)

// plan is that of node-01 when the file goes from one to the other and the kernel is as the first
// asks, apart from harm.
func plan(t *testing.T, from, to *cluster, harm func(*state.Live)) *reconcile.Plan {
	t.Helper()
	live := &state.Live{}
	v := reconcile.View{}
	v.Topology = to.parse(t, next)
	v.Node = v.Topology.Node(self)
	v.Want = desired(t, v.Topology, v.Node)
	switch from {
	case nil:
	case to:
		v.Topology.File = inPlace
		v.InForce, v.Before, live.Set = v.Topology, v.Want, *desired(t, v.Topology, v.Node)
	default:
		v.InForce = from.parse(t, inPlace)
		v.Before = desired(t, v.InForce, v.InForce.Node(self))
		live.Set = *desired(t, v.InForce, v.InForce.Node(self))
	}
	if harm != nil {
		harm(live)
	}
	return reconcile.NewPlan(v, live)
}

// change replaces the rows of a table; ok false drops one.
func change[R state.Row](table *state.Table[R], with func(R) (R, bool)) {
	var out state.Table[R]
	for _, r := range table.Rows() {
		if r, ok := with(r); ok {
			out.Add(r, state.OwnNode)
		}
	}
	*table = out
}
