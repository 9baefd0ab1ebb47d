package reconcile_test

import (
	"errors"
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
)

// settle converges, twice because the first pass changes what the host is seen to be, and lets the node listen.
func (h *host) settle() <-chan struct{} {
	h.Helper()
	for range 2 {
		if _, err := h.converge(); err != nil {
			h.Fatal(err)
		}
	}
	pokes, err := h.engine.Live().Watch(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return pokes
}

// convergeBut leaves some kinds out.
func (h *host) convergeBut(untouched state.Kinds) *reconcile.Plan {
	h.Helper()
	view, err := h.engine.View(h.topology, h.topology)
	if err != nil {
		h.Fatal(err)
	}
	view.Untouched = untouched
	plan, _ := h.engine.Converge(view)
	return plan
}

// found is what somebody finds who has not looked before.
func (h *host) found() *reconcile.Plan {
	h.Helper()
	fresh, err := reconcile.Open(h.engine.Settings)
	if err != nil {
		h.Fatal(err)
	}
	defer fresh.Close()
	view, err := fresh.View(h.topology, h.topology)
	if err != nil {
		h.Fatal(err)
	}
	plan, err := fresh.Look(view)
	if err != nil {
		h.Fatal(err)
	}
	return plan
}

// Looking only at the kinds that announcements are about puts all of it right.
func TestNewsSuffice(t *testing.T) {
	states := oddStates()
	states["the tunnel gone"] = "ip link del podnet.1"
	states["the bridge gone"] = "ip link del cni0"
	states["one entry of each kind gone"] = "ip route del 10.244.1.0/24; bridge fdb del $(bridge fdb show dev podnet.1 | sed -n 's/ self.*//p') dev podnet.1; ip neigh flush dev podnet.1 nud permanent"
	for name, damage := range states {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, dualStack)
			pokes := h.settle()
			h.run(damage)
			late := time.After(10 * time.Second)
			for plan := h.found(); !plan.InSync(); plan = h.found() {
				select {
				case <-pokes:
					h.convergeBut(state.AllKinds &^ h.engine.Live().News())
				case <-late:
					t.Fatalf("nothing is announced any more, and %d steps are left, the first: %v", len(plan.Steps), plan.Steps[0].Object())
				}
			}
		})
	}
}

// An entry of a peer's that goes costs a look at its kind.
func TestNewsAreOfOneKind(t *testing.T) {
	h := newHost(t, dualStack)
	pokes := h.settle()
	h.run("ip route del 10.244.1.0/24")
	<-pokes
	news := h.engine.Live().News()
	if news != state.Kinds(0).With(state.KindRoute) {
		t.Fatalf("news of the kinds %b", news)
	}
	h.run("sysctl -qw net.ipv4.conf.cni0.rp_filter=1 net.ipv4.ip_forward=0")
	if plan := h.convergeBut(state.AllKinds &^ news); len(plan.Steps) != 1 || plan.Steps[0].Kind != state.KindRoute {
		for _, s := range plan.Steps {
			t.Errorf("%s %s %v, want the route's only", s.Op, s.Kind, s.Object())
		}
	}
	if plan := h.convergeBut(0); len(plan.Steps) == 0 {
		t.Error("a look at everything does not see the settings")
	}
}

// What nothing has happened to is known only after a look that left nothing to do, at the same topology.
func TestNothingIsUntouchedOutOfSync(t *testing.T) {
	h := newHost(t, dualStack)
	if plan := h.convergeBut(state.AllKinds); !h.found().InSync() {
		t.Errorf("the first look left something out: %d steps", len(plan.Steps))
	}
	h.run("ip link del podnet.1; ip link add flannel.1 type vxlan id 1 dstport 8472 dev eth0")
	h.convergeBut(0)
	if h.found().InSync() {
		t.Fatal("another's tunnel is not in the way")
	}
	h.run("ip link del flannel.1")
	if h.convergeBut(state.AllKinds); !h.found().InSync() {
		t.Error("what was in the way has gone, and nothing is made")
	}
	h.engine.Hold = func(*reconcile.Step) error { return errors.New("not yet") }
	h.run("ip route del 10.244.1.0/24")
	if plan := h.convergeBut(0); len(plan.Steps) != 1 || plan.Steps[0].Result != reconcile.Skipped {
		t.Fatal("the route was not held back")
	}
	h.engine.Hold = nil
	if h.convergeBut(state.AllKinds); !h.found().InSync() {
		t.Error("what was held back is not made")
	}
}
