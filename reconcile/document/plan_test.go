package document

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// pair is a topology of two nodes.
func pair(t *testing.T, edit func(*schema.Topology)) *schema.Topology {
	t.Helper()
	p, err := schema.Parse("topology.yaml", []byte(`apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
network: {clusterCIDRs: [10.244.0.0/16], masquerade: {enabled: false}}
nodes:
- {name: a, ip: 192.0.2.1, podCIDRs: [10.244.0.0/24]}
- {name: b, ip: 192.0.2.2, podCIDRs: [10.244.1.0/24]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(p)
		p.Digest += "edited"
	}
	return p
}

// planOf is the way from what one topology asks for to what another does; nil: nothing is there.
func planOf(t *testing.T, from, to *schema.Topology, conflicts ...state.Conflict) *reconcile.Plan {
	t.Helper()
	facts := state.Facts{Underlay: "eth0", UnderlayMTU: 1500, IPLocal: true}
	want := func(topology *schema.Topology) *state.Set {
		set, err := state.Desired(topology, &topology.Nodes[0], facts, state.DefaultPaths(""))
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	v := reconcile.View{Topology: to, Node: &to.Nodes[0], Facts: facts, Want: want(to)}
	live := &state.Live{Conflicts: conflicts}
	if from != nil {
		live.Set, v.InForce, v.Before = *want(from), from, want(from)
	}
	return reconcile.NewPlan(v, live)
}

// The names are those of cmd/podnetctl/DOCUMENTS.md: other programs read them.
func TestPlanFieldNames(t *testing.T) {
	after := pair(t, func(t *schema.Topology) { t.Nodes[1].IP = netip.MustParseAddr("192.0.2.9") })
	p := planOf(t, pair(t, nil), after,
		state.Conflict{Key: state.Link{Device: "cni0"}.Key(), Owner: "a bridge", Remedy: "ip link set cni0 group 7200"})
	moved := slices.IndexFunc(p.Steps, func(s *reconcile.Step) bool { return s.Kind == state.KindFDB })
	p.Steps[moved].Result, p.Steps[moved].Err = reconcile.Failed, errors.New("refused")
	b, err := json.Marshal(NewPlan(p, FileRef{"/etc/podnet/topology.yaml", "sha256:1"}))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	step := all["steps"].([]any)[moved].(map[string]any)
	summary := all["summary"].(map[string]any)
	for _, c := range []struct {
		object any
		names  []string
	}{
		{all, []string{"apiVersion", "conflicts", "guard", "inForce", "inSync", "kind", "node", "proposed", "steps", "summary"}},
		{all["inForce"], []string{"digest", "path"}},
		{all["proposed"], []string{"digest", "path"}},
		{summary["peers"], []string{"added", "changed", "removed", "unchanged"}},
		{summary["objects"], []string{"create", "delete", "update"}},
		{all["conflicts"].([]any)[0], []string{"kind", "name", "owner", "remedy"}},
		{step, []string{"after", "before", "cause", "error", "impact", "kind", "name", "op", "peer", "reason", "result", "source"}},
	} {
		got := slices.Sorted(maps.Keys(c.object.(map[string]any)))
		if d := cmp.Diff(c.names, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	}
	want := map[string]any{
		"op": "update", "kind": "fdb", "name": schema.DeriveVTEPMAC("lab", "b").String(), "peer": "b", "reason": "ip 192.0.2.2 -> 192.0.2.9",
		"cause": "change", "impact": "partition", "source": "topology.yaml:7", "before": "dst 192.0.2.2", "after": "dst 192.0.2.9",
		"result": "failed", "error": "refused",
	}
	if d := cmp.Diff(want, step); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// A field is there although it says nothing: a reader that wants it need not ask whether it is.
func TestPlanFieldsOfFirstApply(t *testing.T) {
	b, err := json.Marshal(NewPlan(planOf(t, nil, pair(t, nil)), FileRef{}))
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		InForce map[string]any
		Steps   []map[string]any
	}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	names := []string{"after", "before", "cause", "error", "impact", "kind", "name", "op", "peer", "reason", "result", "source"}
	if d := cmp.Diff(names, slices.Sorted(maps.Keys(r.Steps[0]))); d != "" || len(r.InForce) != 2 {
		t.Errorf("in force %v, -want +got:\n%s", r.InForce, d)
	}
}

// Nothing to do is two empty lists, not null: readers count them.
func TestPlanInSync(t *testing.T) {
	same := pair(t, nil)
	r := NewPlan(planOf(t, same, same), FileRef{})
	if !r.InSync || r.Steps == nil || r.Conflicts == nil || r.Summary.Peers != (reconcile.PeerCounts{Unchanged: 1}) {
		t.Errorf("%+v", r)
	}
}

// An update says what changes: where the attributes that are shown are the same, all of them are.
func TestPlanShowsWhatChanges(t *testing.T) {
	for name, edit := range map[string]func(*schema.Topology){
		"a lower MTU":                 func(t *schema.Topology) { t.Network.MTU = 1400 },
		"a higher MTU":                func(t *schema.Topology) { t.Network.MTU = 1460 },
		"a new port":                  func(t *schema.Topology) { t.Network.VXLAN.Port = 4789 },
		"another bridge":              func(t *schema.Topology) { t.Network.Bridge.Name = "cni9" },
		"another name of the network": func(t *schema.Topology) { t.Network.CNI.Name = "other" },
		"a peer gone":                 func(t *schema.Topology) { t.Nodes = t.Nodes[:1] },
		"its own address":             func(t *schema.Topology) { t.Nodes[0].IP = netip.MustParseAddr("192.0.2.9") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range NewPlan(planOf(t, pair(t, nil), pair(t, edit)), FileRef{}).Steps {
				if s.Op == "update" && s.Before == s.After {
					t.Errorf("%s %s: nothing says what changes: %s", s.Kind, s.Name, s.After)
				}
			}
		})
	}
}
