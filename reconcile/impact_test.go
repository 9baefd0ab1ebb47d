package reconcile

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

func TestImpact(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*schema.Topology)
		want map[string]Impact // of the gravest step of a kind
	}{
		{"a lower MTU", func(t *schema.Topology) { t.Network.MTU = 1400 }, map[string]Impact{"link": ImpactBrief, "conflist": ImpactNone}},
		{"a higher MTU", func(t *schema.Topology) { t.Network.MTU = 1460 }, map[string]Impact{"link": ImpactNone, "conflist": ImpactNone}},
		{"a new port", func(t *schema.Topology) { t.Network.VXLAN.Port = 4789 },
			map[string]Impact{"link": ImpactBrief, "addr": ImpactNone, "neigh": ImpactNone, "fdb": ImpactNone, "route": ImpactNone, "sysctl": ImpactNone, "chain": ImpactNone}},
		{"another bridge", func(t *schema.Topology) { t.Network.Bridge.Name = "cni9" },
			map[string]Impact{"link": ImpactPodLoss, "addr": ImpactPodLoss, "chain": ImpactNone, "conflist": ImpactNone, "sysctl": ImpactNone}},
		{"another name of the network", func(t *schema.Topology) { t.Network.CNI.Name = "other" }, map[string]Impact{"conflist": ImpactPodLoss}},
		{"a peer gone", func(t *schema.Topology) { t.Nodes = t.Nodes[:1] },
			map[string]Impact{"neigh": ImpactPartition, "fdb": ImpactPartition, "route": ImpactPartition, "tunnelSource": ImpactNone}},
		{"its own address", func(t *schema.Topology) { t.Nodes[0].IP = netip.MustParseAddr("192.0.2.9") }, map[string]Impact{"link": ImpactPartition, "chain": ImpactNone}},
	} {
		t.Run(c.name, func(t *testing.T) {
			order := []Impact{ImpactNone, ImpactBrief, ImpactPartition, ImpactPodLoss}
			p := plan(t, topology(t, nil), topology(t, c.edit), nil)
			got := map[string]Impact{}
			for _, s := range p.Steps {
				if k := s.Kind.String(); slices.Index(order, p.Impact(s)) > slices.Index(order, got[k]) {
					got[k] = p.Impact(s)
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// Healing costs nobody anything: what it changes does not work anyhow.
func TestHealingHasNoImpact(t *testing.T) {
	same := topology(t, nil)
	p := plan(t, same, same, func(live *state.Live) {
		e := live.FDB.Rows()[0]
		e.Dst = netip.MustParseAddr("192.0.2.77")
		live.FDB = state.Table[state.FDB]{}
		live.FDB.Add(e, state.OwnNode)
	})
	if len(p.Steps) != 1 || p.Impact(p.Steps[0]) != ImpactNone {
		t.Errorf("%d steps, impact %s", len(p.Steps), p.Impact(p.Steps[0]))
	}
}

func TestFieldChanges(t *testing.T) {
	text := func(network string) *schema.Topology {
		t.Helper()
		t1, err := schema.Parse("topology.yaml", []byte(`apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
network:
  clusterCIDRs: [10.244.0.0/16]
`+network+`nodes:
- {name: a, ip: 192.0.2.1, podCIDRs: [10.244.0.0/24]}
- {name: b, ip: 192.0.2.2, podCIDRs: [10.244.1.0/24]}
`))
		if err != nil {
			t.Fatal(err)
		}
		return t1
	}
	p := plan(t, text(""), text("  mtu: 1400\n  vxlan: {vni: 7}\n"), nil)
	changes, rest := p.FieldChanges()
	type change struct {
		field, before, after string
		line                 int
	}
	var got []change
	for _, c := range changes {
		got = append(got, change{c.Field, c.Before, c.After, c.Line})
	}
	want := []change{{"network.vxlan.vni", "1", "7", 7}, {"network.mtu", "of the underlay", "1400", 6}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(change{})); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if len(rest) != 0 {
		t.Errorf("%d steps without a reason, the first %s %s", len(rest), rest[0].Kind, rest[0].Object().Name())
	}
	for _, c := range p.PeerChanges() {
		if c.Fate != PeerRemade {
			t.Errorf("%s: fate %d, want remade", c.Name, c.Fate)
		}
	}
}
