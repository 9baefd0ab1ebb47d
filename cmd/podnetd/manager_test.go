package main

import (
	"testing"

	"github.com/podnet/podnet/reconcile/document"
)

func TestStatusText(t *testing.T) {
	is := func(typ, status, message string) document.Condition {
		return document.Condition{Type: typ, Status: status, Message: message}
	}
	inForce := document.TopologyStatus{Digest: "sha256:1"}
	for _, test := range []struct {
		want   string
		status document.NodeStatus
	}{
		{"waiting for a topology: no file", document.NodeStatus{
			Conditions: []document.Condition{is(document.Ready, "False", "no file")}}},
		{"not in sync: no lock", document.NodeStatus{
			Conditions: []document.Condition{{Type: document.Ready, Status: "False", Reason: "PassFailed", Message: "no lock"}}}},
		{"in sync, 7 peers", document.NodeStatus{Topology: inForce, InSync: true, Peers: 7}},
		{"in sync with the last good topology, 7 peers; the file is refused: line 3", document.NodeStatus{Topology: inForce, InSync: true, Peers: 7,
			Conditions: []document.Condition{is(document.StaleTopology, "True", "line 3\n  3 | nodes")}}},
		{"not in sync: no ip", document.NodeStatus{Topology: inForce,
			Conditions: []document.Condition{is(document.Ready, "False", "no ip"), is(document.Degraded, "True", "another")}}},
		{"not in sync: a route in the way", document.NodeStatus{Topology: inForce,
			Conditions: []document.Condition{is(document.Ready, "True", ""), is(document.Degraded, "False", ""), is(document.Foreign, "True", "a route in the way")}}},
		{"not in sync (podnetctl diff)", document.NodeStatus{Topology: inForce,
			Conditions: []document.Condition{is(document.Ready, "True", "")}}},
	} {
		if got := oneLine(statusText(&test.status)); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}
