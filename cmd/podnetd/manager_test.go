package main

import (
	"testing"

	"github.com/podnet/podnet/reconcile/agent"
)

func TestStatusText(t *testing.T) {
	is := func(typ, status, message string) agent.Condition {
		return agent.Condition{Type: typ, Status: status, Message: message}
	}
	inForce := agent.TopologyStatus{Digest: "sha256:1"}
	for _, test := range []struct {
		want   string
		status agent.NodeStatus
	}{
		{"waiting for a topology: no file", agent.NodeStatus{
			Conditions: []agent.Condition{is(agent.Ready, "False", "no file")}}},
		{"not in sync: no lock", agent.NodeStatus{
			Conditions: []agent.Condition{{Type: agent.Ready, Status: "False", Reason: "PassFailed", Message: "no lock"}}}},
		{"in sync, 7 peers", agent.NodeStatus{Topology: inForce, InSync: true, Peers: 7}},
		{"in sync with the last good topology, 7 peers; the file is refused: line 3", agent.NodeStatus{Topology: inForce, InSync: true, Peers: 7,
			Conditions: []agent.Condition{is(agent.StaleTopology, "True", "line 3\n  3 | nodes")}}},
		{"not in sync: no ip", agent.NodeStatus{Topology: inForce,
			Conditions: []agent.Condition{is(agent.Ready, "False", "no ip"), is(agent.Degraded, "True", "another")}}},
		{"not in sync: a route in the way", agent.NodeStatus{Topology: inForce,
			Conditions: []agent.Condition{is(agent.Ready, "True", ""), is(agent.Degraded, "False", ""), is(agent.Foreign, "True", "a route in the way")}}},
		{"not in sync (podnetctl diff)", agent.NodeStatus{Topology: inForce,
			Conditions: []agent.Condition{is(agent.Ready, "True", "")}}},
	} {
		if got := oneLine(statusText(&test.status)); got != test.want {
			t.Errorf("got  %q\nwant %q", got, test.want)
		}
	}
}
