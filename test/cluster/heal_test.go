package cluster

import (
	"errors"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// The daemons resync every ten minutes, so that an event must have brought about what heals within seconds. Not a trace
// of the harm may be left: the kernel holds afterwards what it held before.
func TestEventsHeal(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	for _, h := range n.Harms(topology, "node-b") {
		t.Run(h.What, func(t *testing.T) {
			before := n.State()
			h.Do()
			took := lab.Eventually(t, lab.Patience, "healed", h.Undone)
			lab.Eventually(t, lab.Patience, "without a trace", func() error { return lab.SameState(before, n.State()) })
			t.Logf("%v", took)
		})
	}
	s, err := n.Status()
	if err != nil || s.Healed() == 0 {
		t.Errorf("healedTotal is %v, %v; want what was healed", s.HealedTotal, err)
	}
	exits(t, n.Podnetctl("status"), 0, "status after all that")
}

// A host that forwards, and on which new links do not, forwards for pods.
func TestForwardsWhateverLinksBeginWith(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	for _, n := range l.Nodes {
		n.SetSysctl("net/ipv4/ip_forward", "1")
		n.SetSysctl("net/ipv4/conf/default/forwarding", "0")
		n.Start()
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Fatal(err)
		}
	}
	reach(t, l.Nodes[0].Pod("web"), l.Nodes[1].Pod("db"))
}

// Pods on both nodes, and new ones, talk after every harm, the loss of the bridge included: the old pods get their ports
// back.
func TestPodsTalkAfterHealing(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	a, b, beside := n.Pod("web"), l.Nodes[1].Pod("db"), n.Pod("beside")
	reach(t, a, b)
	for _, h := range n.Harms(topology, "node-b") {
		h.Do()
		lab.Eventually(t, lab.Patience, h.What, h.Undone)
	}
	lab.Eventually(t, lab.Patience, "in sync", func() error {
		if out := n.Podnetctl("diff"); out.Code != 0 {
			return errors.New(out.Stdout)
		}
		return n.CheckPeers(topology)
	})
	reach(t, a, b)
	reach(t, a, beside)
	reach(t, n.Pod("new"), b)
	if err := a.Del(); err != nil {
		t.Error(err)
	}
}
