package agent_test

import (
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
)

// found is what somebody finds who has not looked before.
func (h *host) found() *reconcile.Plan {
	h.Helper()
	fresh, err := agent.Open(h.engine.Settings)
	if err != nil {
		h.Fatal(err)
	}
	defer fresh.Close()
	plan, err := fresh.Look(h.view(fresh, h.topology))
	if err != nil {
		h.Fatal(err)
	}
	return plan
}

// Whatever somebody does to podnet's objects is announced, and taken for news.
func TestDamageIsNews(t *testing.T) {
	states := oddStates()
	states["the tunnel gone"] = "ip link del podnet.1"
	states["the bridge gone"] = "ip link del cni0"
	states["a route gone"] = "ip route del 10.244.1.0/24"
	states["an FDB entry gone"] = "bridge fdb del $(bridge fdb show dev podnet.1 | sed -n 's/ self.*//p') dev podnet.1"
	states["a neighbour gone"] = "ip neigh flush dev podnet.1 nud permanent"
	for name, damage := range states {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, dualStack)
			if _, err := h.converge(); err != nil {
				t.Fatal(err)
			}
			pokes, err := h.engine.Kernel().Watcher.Watch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			h.run(damage)
			late := time.After(10 * time.Second)
			for plan := h.found(); !plan.InSync(); plan = h.found() {
				select {
				case <-pokes:
					_, _ = h.converge() // what is left is found, and waits for the next one
				case <-late:
					t.Fatalf("nothing is announced any more, and %d steps are left, the first: %v", len(plan.Steps), plan.Steps[0].Object())
				}
			}
		})
	}
}
