package agent

import (
	"os"
	"slices"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
)

// Settings say which node this is and where its files are.
type Settings struct {
	Paths state.Paths
	Node  string // the operator's word for which entry is this node's; "": found out
	// HostPorts knows what the portmap plugin has recorded; nil: host ports are not looked at.
	HostPorts kernel.HostPorts
}

// Engine looks at one node and converges it. It is for one goroutine at a time.
type Engine struct {
	Settings
	// Progress is told how far long work has come; nil: nobody wants to know.
	Progress func(done, total int)
	// Hold says why a step is not to be done yet; nil: everything is done at once.
	Hold func(*reconcile.Step) error

	node *kernel.Node
	home bool         // the node's ip has been on this host
	sets [2]cachedSet // of the topology in force and of the one before
}

// cachedSet is what a topology asks for: made once for each change of the file or of the host.
type cachedSet struct {
	topology *schema.Topology
	node     string
	facts    state.Facts
	set      *state.Set
}

// Open opens the node in the calling thread's network namespace.
func Open(s Settings) (*Engine, error) {
	node, err := kernel.Open(s.Paths)
	if err != nil {
		return nil, err
	}
	node.HostPorts = s.HostPorts
	return &Engine{Settings: s, node: node}, nil
}

// Close gives the node's sockets back.
func (e *Engine) Close() { e.node.Close() }

// Kernel is the node itself, for what is neither compared nor converged.
func (e *Engine) Kernel() *kernel.Node { return e.node }

// Identity is what the host knows of itself.
func (e *Engine) Identity() (reconcile.Identity, error) {
	host, err := os.Hostname()
	if err != nil {
		return reconcile.Identity{}, err
	}
	addrs, err := e.node.LocalAddrs()
	return reconcile.Identity{Node: e.Settings.Node, Hostname: host, Addrs: addrs}, err
}

// View computes what t asks of the node that id identifies. inForce is the topology until now: nil
// if there is none, t itself if it is the same.
func (e *Engine) View(id reconcile.Identity, t, inForce *schema.Topology) (reconcile.View, error) {
	node, err := id.Select(t)
	if err != nil {
		return reconcile.View{}, err
	}
	v := reconcile.View{Topology: t, Node: node, InForce: inForce}
	if v.Facts, err = e.node.Facts(node); err != nil {
		return v, err
	}
	e.home = e.home || v.Facts.IPLocal
	v.Away = !e.home
	if v.Want, err = e.desired(t, node, v.Facts); err != nil {
		return v, err
	}
	switch {
	case inForce == nil:
	case inForce.Digest == t.Digest:
		v.InForce, v.Before = t, v.Want
		e.sets[1] = cachedSet{} // what is past is not kept: it is as large as what is
	default:
		v.Before = e.before(inForce, node.Name, v.Facts)
	}
	return v, nil
}

// before is what the topology until now asks for, nil if it has nothing to say of this node.
func (e *Engine) before(t *schema.Topology, name string, facts state.Facts) *state.Set {
	node := t.Node(name)
	if node == nil {
		return nil
	}
	set, err := e.desired(t, node, facts)
	if err != nil {
		return nil
	}
	return set
}

func (e *Engine) desired(t *schema.Topology, node *schema.Node, facts state.Facts) (*state.Set, error) {
	for _, c := range e.sets {
		if c.topology == t && c.node == node.Name && equalFacts(c.facts, facts) {
			return c.set, nil
		}
	}
	set, err := state.Desired(t, node, facts, e.Paths)
	if err == nil {
		e.sets[1], e.sets[0] = e.sets[0], cachedSet{t, node.Name, facts, set}
	}
	return set, err
}

func equalFacts(a, b state.Facts) bool {
	return a.Underlay == b.Underlay && a.UnderlayMTU == b.UnderlayMTU && a.IPLocal == b.IPLocal &&
		a.KeptMTU == b.KeptMTU && a.IPv6 == b.IPv6 && a.NoIPTables == b.NoIPTables &&
		slices.Equal(a.RAListeners, b.RAListeners)
}

// Look compares and changes nothing.
func (e *Engine) Look(v reconcile.View) (*reconcile.Plan, error) { return e.look(v, state.AllKinds) }

// look compares some kinds; of the others it takes what the last look has seen.
func (e *Engine) look(v reconcile.View, kinds state.Kinds) (*reconcile.Plan, error) {
	live, err := e.node.LiveAgain(v.Want, kinds)
	if err != nil {
		return nil, err
	}
	addPorts(&v, live)
	return reconcile.NewPlan(v, live), nil
}

// addPorts adds to what is wanted, now and before, a bridge port for each pod on the node, and the
// host ports that its record names.
func addPorts(v *reconcile.View, live *state.Live) {
	same := v.Before == v.Want
	v.Want = v.Want.WithPorts(v.Topology.Network.Bridge.HairpinMode, live.Pods).WithHostPorts(live.Published)
	switch {
	case same:
		v.Before = v.Want
	case v.Before != nil:
		v.Before = v.Before.WithPorts(v.InForce.Network.Bridge.HairpinMode, live.Pods).WithHostPorts(live.Published)
	}
}

// SetTrial tells the firewall how long the trial on record may last; nil means that there is none.
// Addresses that the topology drops may send to the tunnel for that long, because a rollback may
// bring them back.
func (e *Engine) SetTrial(t *rollout.Trial, s *rollout.Source) {
	e.node.Firewall.Trial = 0
	if t != nil {
		e.node.Firewall.Trial = max(0, s.Left(t))
	}
}

// HoldConflist takes the conflist away if its bridge is missing or another owner's: until the
// node's network is there again, the runtime has to know that it is not. For the start of a daemon.
func (e *Engine) HoldConflist() error { return e.node.HoldConflist() }
