package main

import (
	"testing"

	"github.com/podnet/podnet/reconcile"
)

func TestStatusText(t *testing.T) {
	is := func(typ, status, message string) reconcile.Condition {
		return reconcile.Condition{Type: typ, Status: status, Message: message}
	}
	inForce := reconcile.TopologyStatus{Digest: "sha256:1"}
	for _, test := range []struct {
		want   string
		status reconcile.NodeStatus
	}{
		{"waiting for a topology: no file", reconcile.NodeStatus{
			Conditions: []reconcile.Condition{is(reconcile.Ready, "False", "no file")}}},
		{"not in sync: no lock", reconcile.NodeStatus{
			Conditions: []reconcile.Condition{{Type: reconcile.Ready, Status: "False", Reason: "PassFailed", Message: "no lock"}}}},
		{"in sync, 7 peers", reconcile.NodeStatus{Topology: inForce, InSync: true, Peers: 7}},
		{"in sync with the last good topology, 7 peers; the file is refused: line 3", reconcile.NodeStatus{Topology: inForce, InSync: true, Peers: 7,
			Conditions: []reconcile.Condition{is(reconcile.StaleTopology, "True", "line 3\n  3 | nodes")}}},
		{"not in sync: no ip", reconcile.NodeStatus{Topology: inForce,
			Conditions: []reconcile.Condition{is(reconcile.Ready, "False", "no ip"), is(reconcile.Degraded, "True", "another")}}},
		{"not in sync: a route in the way", reconcile.NodeStatus{Topology: inForce,
			Conditions: []reconcile.Condition{is(reconcile.Ready, "True", ""), is(reconcile.Degraded, "False", ""), is(reconcile.Foreign, "True", "a route in the way")}}},
		{"not in sync (podnetctl diff)", reconcile.NodeStatus{Topology: inForce,
			Conditions: []reconcile.Condition{is(reconcile.Ready, "True", "")}}},
	} {
		if got := oneLine(statusText(&test.status)); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}
