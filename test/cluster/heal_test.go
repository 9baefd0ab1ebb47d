package cluster

import (
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

// Pods on both nodes keep talking through every harm that leaves their own links alone.
func TestPodsTalkAfterHealing(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	a, b := l.Nodes[0].Pod("web"), l.Nodes[1].Pod("db")
	reach(t, a, b)
	harms := l.Nodes[0].Harms(topology, "node-b")
	for _, h := range harms[:len(harms)-1] {
		h.Do()
		lab.Eventually(t, lab.Patience, h.What, h.Undone)
	}
	lab.Eventually(t, lab.Patience, "in sync", func() error { return l.Nodes[0].CheckPeers(topology) })
	reach(t, a, b)
}

// A bridge that was deleted comes back as it was, and new pods work on it.
func TestNewPodOnNewBridge(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	harms := n.Harms(topology, "node-b")
	bridge := harms[len(harms)-1]
	bridge.Do()
	lab.Eventually(t, lab.Patience, bridge.What, bridge.Undone)
	lab.Eventually(t, lab.Patience, "conflist", func() error {
		_, err := n.ReadFile(lab.ConflistPath)
		return err
	})
	reach(t, n.Pod("web"), l.Nodes[1].Pod("db"))
}
