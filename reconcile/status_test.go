package reconcile

import (
	"encoding/json"
	"testing"
)

// A condition says nothing that the rest of the status contradicts.
func TestConditions(t *testing.T) {
	next := topology(t, nil)
	waiting, done := plan(t, nil, next, nil), plan(t, nil, next, nil)
	for _, s := range done.Steps {
		s.Result = Done
	}
	for _, c := range []struct {
		name, typ string
		pass      Pass
		status    string
		reason    string
	}{
		{"invalid, and nothing in force", StaleTopology, Pass{Verdict: Verdict{OnDisk: OnDisk{Reason: ReasonInvalid}}}, "True", ReasonInvalid},
		{"no file, and nothing in force", StaleTopology, Pass{Verdict: Verdict{OnDisk: OnDisk{Reason: ReasonMissing}}}, "False", ReasonMissing},
		{"no file, and one in force", StaleTopology, Pass{Verdict: Verdict{Topology: next, OnDisk: OnDisk{Reason: ReasonMissing}}}, "True", ReasonMissing},
		{"accepted", StaleTopology, Pass{Verdict: Verdict{Topology: next, OnDisk: OnDisk{Accepted: true}}}, "False", "InForce"},
		{"steps to do", Degraded, Pass{Verdict: Verdict{Topology: next}, Plan: waiting}, "True", "NotConverged"},
		{"steps done", Degraded, Pass{Verdict: Verdict{Topology: next}, Plan: done}, "False", "Converged"},
		{"nobody watches", Contention, Pass{Verdict: Verdict{Topology: next}, Plan: done}, "Unknown", "NoDaemon"},
	} {
		if got := c.pass.Status(nil).Condition(c.typ); got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %s is %s %s, want %s %s", c.name, c.typ, got.Status, got.Reason, c.status, c.reason)
		}
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
