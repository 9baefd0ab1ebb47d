package agent

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
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
		{"invalid, and nothing in force", document.StaleTopology, Pass{Decision: rollout.Decision{OnDisk: document.OnDisk{Reason: rollout.ReasonInvalid}}}, "True", rollout.ReasonInvalid},
		{"no file, and nothing in force", document.StaleTopology, Pass{Decision: rollout.Decision{OnDisk: document.OnDisk{Reason: rollout.ReasonMissing}}}, "False", rollout.ReasonMissing},
		{"no file, and one in force", document.StaleTopology, Pass{Decision: rollout.Decision{Topology: next, OnDisk: document.OnDisk{Reason: rollout.ReasonMissing}}}, "True", rollout.ReasonMissing},
		{"accepted", document.StaleTopology, Pass{Decision: rollout.Decision{Topology: next, OnDisk: document.OnDisk{Accepted: true}}}, "False", "InForce"},
		{"steps to do", document.Degraded, Pass{Decision: rollout.Decision{Topology: next}, Plan: waiting}, "True", "NotConverged"},
		{"steps done", document.Degraded, Pass{Decision: rollout.Decision{Topology: next}, Plan: done}, "False", "Converged"},
		{"a trial that is over and not undone", document.ConfirmPending, Pass{Decision: rollout.Decision{Topology: next, Overdue: &rollout.Trial{}}, Plan: done}, "True", "Overdue"},
		{"nobody watches", document.Contention, Pass{Decision: rollout.Decision{Topology: next}, Plan: done}, "Unknown", "NoDaemon"},
	} {
		if got := c.pass.Status(nil).Condition(c.typ); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %s is %s %s, want %s %s", c.name, c.typ, got.Status, got.Reason, c.status, c.reason)
		}
	}
}

// Whoever reads that a trial could not be undone is told how to go on.
func TestOverdueTrialNamesTheWayOn(t *testing.T) {
	pass := Pass{Decision: rollout.Decision{Overdue: &rollout.Trial{Digest: "sha256:0123"}}}
	if c := pass.Status(nil).Condition(document.ConfirmPending); !strings.Contains(c.Message, "podnetctl rollback") {
		t.Errorf("%+v", c)
	}
}
