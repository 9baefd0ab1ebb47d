package agent

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// A condition says nothing that the rest of the status contradicts.
func TestConditions(t *testing.T) {
	next := &schema.Topology{Nodes: []schema.Node{{Name: "a"}}}
	want := &state.Set{}
	want.Links.Add(state.Link{Device: "cni0", Type: "bridge"}, state.OwnNode)
	plan := func() *reconcile.Plan {
		return reconcile.NewPlan(reconcile.View{Topology: next, Node: &next.Nodes[0], Facts: state.Facts{IPLocal: true}, Want: want}, &state.Live{})
	}
	waiting, done := plan(), plan()
	for _, s := range done.Steps {
		s.Result = reconcile.Done
	}
	for _, c := range []struct {
		name, typ string
		pass      Pass
		status    string
		reason    string
	}{
		{"invalid, and nothing in force", StaleTopology, Pass{Verdict: rollout.Verdict{OnDisk: rollout.OnDisk{Reason: rollout.ReasonInvalid}}}, "True", rollout.ReasonInvalid},
		{"no file, and nothing in force", StaleTopology, Pass{Verdict: rollout.Verdict{OnDisk: rollout.OnDisk{Reason: rollout.ReasonMissing}}}, "False", rollout.ReasonMissing},
		{"no file, and one in force", StaleTopology, Pass{Verdict: rollout.Verdict{Topology: next, OnDisk: rollout.OnDisk{Reason: rollout.ReasonMissing}}}, "True", rollout.ReasonMissing},
		{"accepted", StaleTopology, Pass{Verdict: rollout.Verdict{Topology: next, OnDisk: rollout.OnDisk{Accepted: true}}}, "False", "InForce"},
		{"steps to do", Degraded, Pass{Verdict: rollout.Verdict{Topology: next}, Plan: waiting}, "True", "NotConverged"},
		{"steps done", Degraded, Pass{Verdict: rollout.Verdict{Topology: next}, Plan: done}, "False", "Converged"},
		{"a trial that is over and not undone", ConfirmPending, Pass{Verdict: rollout.Verdict{Topology: next, Overdue: &rollout.Trial{}}, Plan: done}, "True", "Overdue"},
		{"nobody watches", Contention, Pass{Verdict: rollout.Verdict{Topology: next}, Plan: done}, "Unknown", "NoDaemon"},
	} {
		if got := c.pass.Status(nil).Condition(c.typ); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %s is %s %s, want %s %s", c.name, c.typ, got.Status, got.Reason, c.status, c.reason)
		}
	}
}

// Whoever reads that a trial could not be undone is told how to go on.
func TestOverdueTrialNamesTheWayOn(t *testing.T) {
	pass := Pass{Verdict: rollout.Verdict{Overdue: &rollout.Trial{Digest: "sha256:0123"}}}
	if c := pass.Status(nil).Condition(ConfirmPending); !strings.Contains(c.Message, "podnetctl rollback") {
		t.Errorf("%+v", c)
	}
}

// Before the first pass has ended a status says little, and whoever counts what it says finds nothing, not null.
func TestNewStatusHasItsLists(t *testing.T) {
	b, err := json.Marshal(newStatus())
	if err != nil {
		t.Fatal(err)
	}
	var s map[string]any
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	for name, value := range s {
		if value == nil && name != "daemon" {
			t.Errorf("%s is null", name)
		}
	}
}

// A newer podnetd may say more than this program knows, which must not count for or against the node.
func TestDecodeNewerStatus(t *testing.T) {
	s, err := DecodeStatus([]byte(`{"node":"node-a","news":{"a":1},"conditions":[{"type":"NodeDrained","status":"True"},{"type":"Ready","status":"True"}]}`))
	if err != nil || s.Node != "node-a" || len(s.Conditions) != 1 || s.Conditions[0].Type != Ready {
		t.Errorf("%v, %+v", err, s)
	}
}
