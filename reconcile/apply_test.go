package reconcile

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// node is a node in memory that notes what it is told, and fails where it is told to.
type node struct {
	did  []string
	fail map[string]bool
}

func (n *node) Apply(_ state.Kind, changes []*state.Change) {
	for _, c := range changes {
		what := fmt.Sprintf("%s %s %s", c.Op, c.Kind, c.Object().Name())
		if c.Op != state.Delete && n.fail[c.Object().Name()] {
			c.Err = fmt.Errorf("%s: refused", what)
			continue
		}
		n.did = append(n.did, what)
	}
}

func topology(t *testing.T, edit func(*schema.Topology)) *schema.Topology {
	t.Helper()
	text := `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
network: {clusterCIDRs: [10.244.0.0/16], masquerade: {enabled: false}}
nodes:
- {name: a, ip: 192.0.2.1, podCIDRs: [10.244.0.0/24]}
- {name: b, ip: 192.0.2.2, podCIDRs: [10.244.1.0/24]}
`
	topology, err := schema.Parse("topology.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(topology)
		topology.Digest += "edited"
	}
	return topology
}

var facts = state.Facts{Underlay: "eth0", UnderlayMTU: 1500, IPLocal: true}

func want(t *testing.T, topology *schema.Topology) *state.Set {
	t.Helper()
	set, err := state.Desired(topology, &topology.Nodes[0], facts, state.DefaultPaths(""))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// plan is the way from what one topology asks for to what another does; nil: nothing is there.
func plan(t *testing.T, from, to *schema.Topology, edit func(*state.Live)) *Plan {
	t.Helper()
	v := View{Topology: to, Node: &to.Nodes[0], Facts: facts, Want: want(t, to)}
	live := &state.Live{}
	if from != nil {
		live.Set, v.InForce, v.Before = *want(t, from), from, want(t, from)
	}
	if edit != nil {
		edit(live)
	}
	return NewPlan(v, live)
}

const everything = `create link cni0
create link podnet.1
create sysctl net/ipv4/conf/cni0/forwarding
create sysctl net/ipv4/conf/podnet.1/forwarding
create addr 10.244.0.1/24
create addr 10.244.0.0/32
create link cni0
create link podnet.1
create tunnelSource 192.0.2.2
create neigh 10.244.1.0
create fdb %[1]s
create route 10.244.1.0/24
create chain PODNET-FORWARD
create chain fence-pods
create chain fence-ports
create chain tunnel-senders
create chain tunnel-pods
create sysctl net/ipv4/ip_forward
create conflist 10-podnet.conflist`

func TestApplyOrder(t *testing.T) {
	mac := schema.DeriveVTEPMAC("lab", "b").String()
	same := topology(t, nil)
	for _, c := range []struct {
		name     string
		from, to *schema.Topology
		live     func(*state.Live)
		want     string
	}{
		{"from nothing", nil, same, nil, fmt.Sprintf(everything, mac)},
		{"nothing to do", same, same, nil, ""},
		{"to nothing: the conflist first, children with their parents", same, topology(t, func(t *schema.Topology) { t.Nodes[0].PodCIDRs = nil }),
			func(live *state.Live) { live.Sysctls = state.Table[state.Sysctl]{} }, // the kernel's are only read where they are wanted
			`delete conflist 10-podnet.conflist
delete chain PODNET-FORWARD
delete chain fence-pods
delete chain fence-ports
delete chain tunnel-senders
delete chain tunnel-pods
delete tunnelSource 192.0.2.2
delete link cni0
delete link podnet.1`},
		{"a peer moves: in place", same, topology(t, func(t *schema.Topology) { t.Nodes[1].IP = netip.MustParseAddr("192.0.2.9") }), nil,
			"create tunnelSource 192.0.2.9\nupdate fdb " + mac + "\ndelete tunnelSource 192.0.2.2"},
		{"another podCIDR: made before the old one goes", same,
			topology(t, func(t *schema.Topology) { t.Nodes[1].PodCIDRs[0] = netip.MustParsePrefix("10.244.9.0/24") }), nil,
			`create neigh 10.244.9.0
create route 10.244.9.0/24
delete route 10.244.1.0/24
delete neigh 10.244.1.0`},
		{"another port: the device anew, with all it carries", same, topology(t, func(t *schema.Topology) { t.Network.VXLAN.Port = 4789 }), nil,
			`delete link podnet.1
create link podnet.1
create sysctl net/ipv4/conf/podnet.1/forwarding
create addr 10.244.0.0/32
create link podnet.1
create neigh 10.244.1.0
create fdb ` + mac + `
create route 10.244.1.0/24
update chain tunnel-senders
update chain tunnel-pods`},
		{"another name: the old device has the VNI", same, topology(t, func(t *schema.Topology) { t.Network.VXLAN.Name = "pod0" }), nil,
			`delete link podnet.1
create link pod0
create sysctl net/ipv4/conf/pod0/forwarding
create addr 10.244.0.0/32
create link pod0
create neigh 10.244.1.0
create fdb ` + mac + `
create route 10.244.1.0/24`},
	} {
		p := plan(t, c.from, c.to, c.live)
		n := &node{}
		if err := p.Apply(n, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if d := cmp.Diff(c.want, strings.Join(n.did, "\n")); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, d)
		}
		for _, s := range p.Steps {
			if s.Result != Done {
				t.Errorf("%s: %s %s is %s", c.name, s.Op, s.Object().Name(), s.Result)
			}
		}
	}
}

// What failed is named once; what depended on it waits and says for what; the rest is done; the
// conflist waits for the node's own parts, and not for peers.
func TestApplyFailures(t *testing.T) {
	for _, c := range []struct {
		fail    string
		skipped []string
		errors  int
	}{
		{"10.244.1.0", nil, 1}, // the neighbour: routes do not die with it
		{"10.244.1.0/24", nil, 1},
		{"PODNET-FORWARD", []string{"10-podnet.conflist"}, 1},
		{"podnet.1", []string{"net/ipv4/conf/podnet.1/forwarding", "10.244.0.0/32", "podnet.1", "10.244.1.0", schema.DeriveVTEPMAC("lab", "b").String(), "10.244.1.0/24", "10-podnet.conflist"}, 1},
	} {
		p := plan(t, nil, topology(t, nil), nil)
		err := p.Apply(&node{fail: map[string]bool{c.fail: true}}, nil)
		if got := len(Errors(err)); got != c.errors {
			t.Errorf("%s fails: %d errors: %v", c.fail, got, err)
		}
		var skipped []string
		for _, s := range p.Steps {
			if s.Result == Skipped {
				skipped = append(skipped, s.Object().Name())
				if s.Err == nil || !strings.Contains(s.Err.Error(), "waits for") {
					t.Errorf("%s fails: %s does not say what it waits for: %v", c.fail, s.Object().Name(), s.Err)
				}
			}
		}
		if d := cmp.Diff(c.skipped, skipped); d != "" {
			t.Errorf("%s fails: skipped (-want +got):\n%s", c.fail, d)
		}
	}
}

// A device that could not be changed in place keeps nothing waiting but the conflist: peers come
// and go on it.
func TestApplyFailedUpdate(t *testing.T) {
	p := plan(t, topology(t, nil), topology(t, func(t *schema.Topology) {
		t.Network.MTU = 1400
		t.Nodes[1].IP = netip.MustParseAddr("192.0.2.9")
	}), nil)
	n := &node{fail: map[string]bool{"podnet.1": true}}
	if err := p.Apply(n, nil); len(Errors(err)) != 1 {
		t.Errorf("errors: %v", err)
	}
	did := strings.Join(n.did, "\n")
	if !strings.Contains(did, "update fdb") || strings.Contains(did, "conflist") {
		t.Errorf("did\n%s", did)
	}
}

// A foreign device keeps what sits on it from being done, and the conflist; peers' entries that are
// there stay.
func TestForeignDeviceBlocks(t *testing.T) {
	p := plan(t, nil, topology(t, nil), func(live *state.Live) {
		live.Conflicts = []state.Conflict{{Key: state.Link{Device: "cni0"}.Key(), Owner: "a bridge that podnet did not make", Blocks: true}}
	})
	for _, s := range p.Steps { // said before anything is done
		if s.Kind == state.KindConflist && s.Result != Skipped {
			t.Errorf("the conflist is %s before the application", s.Result)
		}
	}
	n := &node{}
	err := p.Apply(n, nil)
	if got := len(Errors(err)); got != 1 {
		t.Errorf("%d errors: %v", got, err)
	}
	for _, did := range n.did {
		if strings.Contains(did, "cni0") || strings.Contains(did, "conflist") || strings.Contains(did, "10.244.0.1/24") {
			t.Errorf("did %s", did)
		}
	}
	if !strings.Contains(strings.Join(n.did, "\n"), "create route 10.244.1.0/24") {
		t.Error("peers had to wait for a bridge that they do not need")
	}
	if p.InSync() {
		t.Error("in sync without a bridge")
	}
}

// A device stays, and what is on it, as long as a foreign one has the name of the device that is to
// take its place.
func TestForeignSuccessor(t *testing.T) {
	for _, c := range []struct {
		name, new string
		edit      func(*schema.Topology)
	}{
		{"tunnel", "pod0", func(t *schema.Topology) { t.Network.VXLAN.Name = "pod0" }},
		{"bridge", "pods", func(t *schema.Topology) { t.Network.Bridge.Name = "pods" }},
	} {
		p := plan(t, topology(t, nil), topology(t, c.edit), func(live *state.Live) {
			live.Conflicts = []state.Conflict{{Key: state.Link{Device: c.new}.Key(), Owner: "a device that podnet did not make", Blocks: true}}
		})
		n := &node{}
		if err := p.Apply(n, nil); len(Errors(err)) != 1 {
			t.Errorf("%s: errors %v", c.name, err)
		}
		for _, did := range n.did {
			if strings.HasPrefix(did, "delete") {
				t.Errorf("%s: did %s", c.name, did)
			}
		}
		if p.InSync() {
			t.Errorf("%s: in sync", c.name)
		}
	}
}

// A host that forwards before a link was told to go on listening to routers has lost them.
func TestForwardingWaits(t *testing.T) {
	const listens, forwards = "net/ipv6/conf/eth0/accept_ra", "net/ipv6/conf/all/forwarding"
	want, live := &state.Set{}, &state.Live{}
	for path, value := range map[string]string{listens: "1", forwards: "0"} {
		live.Sysctls.Add(state.Sysctl{Path: path, Value: value}, state.OwnNode)
	}
	want.Sysctls.Add(state.Sysctl{Path: listens, Value: "2", Link: true}, state.OwnNode)
	want.Sysctls.Add(state.Sysctl{Path: forwards, Value: "1", After: listens}, state.OwnNode)
	for fail, done := range map[string]string{"": "update sysctl " + listens + "\nupdate sysctl " + forwards, listens: ""} {
		n := &node{fail: map[string]bool{fail: true}}
		_ = (&Plan{Steps: Diff(want, live)}).Apply(n, nil) // what failed is known
		if d := cmp.Diff(done, strings.Join(n.did, "\n")); d != "" {
			t.Errorf("%q fails (-want +got):\n%s", fail, d)
		}
	}
}

// A kind that cannot be read is left alone, and the conflist waits for it.
func TestUnknownKind(t *testing.T) {
	p := plan(t, nil, topology(t, nil), func(live *state.Live) { live.Unknown[state.KindChain] = errors.New("iptables-save: busy") })
	n := &node{}
	err := p.Apply(n, nil)
	if err == nil || !strings.Contains(err.Error(), "busy") {
		t.Errorf("error %v", err)
	}
	if did := strings.Join(n.did, "\n"); strings.Contains(did, "chain") || strings.Contains(did, "conflist") || !strings.Contains(did, "route") {
		t.Errorf("did\n%s", did)
	}
}

// The second look names everything that is undone or unseen and that nothing has accounted for,
// however much else went wrong.
func TestLeftOver(t *testing.T) {
	p := plan(t, nil, topology(t, nil), nil)
	if err := p.Apply(&node{fail: map[string]bool{"cni0": true}}, nil); err == nil {
		t.Fatal("no error")
	}
	again := plan(t, nil, topology(t, nil), func(live *state.Live) {
		live.Unknown[state.KindChain] = errors.New("iptables-save: busy")
		live.Links = want(t, topology(t, nil)).Links
		live.Links.Add(state.Link{Device: "stray", Type: "bridge"}, state.OwnNode)
		live.FDB = want(t, topology(t, nil)).FDB
	})
	again.Steps = append(again.Steps, &Step{Change: state.Change{Op: state.Create, Kind: state.KindLink, Want: state.Link{Device: "cni0"}}})
	var got []string
	for _, err := range p.LeftOver(again) {
		got = append(got, err.Error())
	}
	want := []string{
		"iptables-save: busy",
		"did not converge: delete link stray is still to be done",
		"did not converge: create sysctl net/ipv4/conf/podnet.1/forwarding is still to be done",
		"did not converge: create addr 10.244.0.0/32 is still to be done",
		"did not converge: create link podnet.1 is still to be done",
		"did not converge: create tunnelSource 192.0.2.2 is still to be done",
		"did not converge: create neigh 10.244.1.0 is still to be done",
		"did not converge: create route 10.244.1.0/24 is still to be done",
		"did not converge: create sysctl net/ipv4/ip_forward is still to be done",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, s := range p.Steps {
		if s.Kind == state.KindRoute && s.Result != Failed || s.Kind == state.KindFDB && s.Result != Done {
			t.Errorf("%s %s is %s", s.Kind, s.Object().Name(), s.Result)
		}
	}
}

func TestCause(t *testing.T) {
	before := topology(t, nil)
	after := topology(t, func(t *schema.Topology) { t.Nodes[1].IP = netip.MustParseAddr("192.0.2.9") })
	p := plan(t, before, after, func(live *state.Live) {
		live.Routes = state.Table[state.Route]{}
		live.Sysctls = state.Table[state.Sysctl]{}
		live.Neighs.Add(state.Neigh{Device: "podnet.1", IP: netip.MustParseAddr("10.244.7.0"), Permanent: true}, state.OwnNode)
	})
	got := map[string]Cause{}
	for _, s := range p.Steps {
		got[s.Kind.String()] = s.Cause
	}
	want := map[string]Cause{"tunnelSource": CauseChange, "fdb": CauseChange, "route": CauseDrift, "sysctl": CauseDrift, "neigh": CauseDrift}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// What falls with a device that the file wants anew is the file's doing too.
func TestCauseOfWhatFallsWithADevice(t *testing.T) {
	before := topology(t, nil)
	p := plan(t, before, topology(t, func(t *schema.Topology) { t.Network.VXLAN.Port = 4789 }), nil)
	if len(p.Steps) < 6 {
		t.Errorf("%d steps", len(p.Steps))
	}
	for _, s := range p.Steps {
		if s.Cause != CauseChange {
			t.Errorf("%s %s counts as %s", s.Kind, s.Want.Name(), s.Cause)
		}
	}
}
