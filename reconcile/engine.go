package reconcile

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/hashicorp/go-multierror"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Settings say which node this is and where its files are.
type Settings struct {
	Paths state.Paths
	Node  string // the operator's word for which entry is this node's; "": found out
}

// Engine looks at one node and converges it. It is for one goroutine at a time.
type Engine struct {
	Settings
	// Progress is told how far long work has come; nil: nobody wants to know.
	Progress func(done, total int)
	// Hold says why a step is not to be done yet; nil: everything is done at once.
	Hold func(*Step) error

	node *state.Node
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
	node, err := state.Open(s.Paths)
	if err != nil {
		return nil, err
	}
	return &Engine{Settings: s, node: node}, nil
}

// Close gives the node's sockets back.
func (e *Engine) Close() { e.node.Close() }

// Live is the node itself, for what is neither compared nor converged.
func (e *Engine) Live() *state.Node { return e.node }

// Identity is what the host knows of itself.
func (e *Engine) Identity() (Identity, error) {
	host, err := os.Hostname()
	if err != nil {
		return Identity{}, err
	}
	addrs, err := e.node.LocalAddrs()
	return Identity{Node: e.Settings.Node, Hostname: host, Addrs: addrs}, err
}

// View computes what t asks of this node. inForce is the topology until now: nil if there is none, t itself if it is the
// same.
func (e *Engine) View(t, inForce *schema.Topology) (View, error) {
	id, err := e.Identity()
	if err != nil {
		return View{}, err
	}
	return e.ViewAs(id, t, inForce)
}

// ViewAs is View for a caller that has just asked for the identity itself.
func (e *Engine) ViewAs(id Identity, t, inForce *schema.Topology) (View, error) {
	node, err := id.Select(t)
	if err != nil {
		return View{}, err
	}
	v := View{Topology: t, Node: node, InForce: inForce}
	if v.Facts, err = e.node.Facts(node.IP); err != nil {
		return v, err
	}
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
	return a.Underlay == b.Underlay && a.UnderlayMTU == b.UnderlayMTU && a.IPLocal == b.IPLocal && a.IPv6 == b.IPv6 &&
		slices.Equal(a.RAListeners, b.RAListeners)
}

// Look compares and changes nothing.
func (e *Engine) Look(v View) (*Plan, error) { return e.look(v, state.AllKinds) }

// look compares some kinds; of the others it takes what the last look has seen.
func (e *Engine) look(v View, kinds state.Kinds) (*Plan, error) {
	live, err := e.node.LiveAgain(v.Want, kinds)
	if err != nil {
		return nil, err
	}
	v.addPorts(live.Pods)
	return NewPlan(v, live), nil
}

// addPorts asks for a port for each pod that there is, by the topology of either time.
func (v *View) addPorts(pods []string) {
	same := v.Before == v.Want
	v.Want = v.Want.WithPorts(v.Topology.Network.Bridge.HairpinMode, pods)
	switch {
	case same:
		v.Before = v.Want
	case v.Before != nil:
		v.Before = v.Before.WithPorts(v.InForce.Network.Bridge.HairpinMode, pods)
	}
}

// Converge makes the node what the view asks for and looks again at every kind that this may have touched: what is left
// over is an error. The plan tells what became of each step; the error has everything that went wrong. The caller holds
// the node's lock.
func (e *Engine) Converge(v View) (*Plan, error) {
	plan, err := e.Look(v)
	if err != nil {
		return nil, err
	}
	e.node.Care(v.Want, v.Facts) // what is about to be made is no news
	if plan.InSync() {
		return plan, nil
	}
	defer func() { e.node.Care(v.Want, v.Facts) }() // of new devices too
	e.hold(plan)
	var errs *multierror.Error
	if err := plan.Apply(e.node, e.Progress); err != nil {
		errs = multierror.Append(errs, err)
	}
	again, err := e.look(v, plan.touched())
	if err != nil {
		return plan, multierror.Append(errs, err)
	}
	plan.Conflicts = again.Conflicts
	skipped := plan.skipped()
	for _, s := range again.Steps {
		err := fmt.Errorf("did not converge: %s %s %s is still to be done", s.Op, s.Kind, s.Object().Name())
		plan.undo(s.Key(), err)
		if errs == nil && !skipped[s.Key()] { // otherwise it is known why
			errs = multierror.Append(errs, err)
		}
	}
	if errs != nil {
		errs.ErrorFormat = sentences
	}
	return plan, errs.ErrorOrNil()
}

// hold takes out of a plan what is not to be done yet; what needs that waits for it, as for anything that fails.
func (e *Engine) hold(p *Plan) {
	for _, s := range p.Steps {
		if e.Hold == nil || s.Result != Planned {
			continue
		}
		if s.Err = e.Hold(s); s.Err != nil {
			s.Result, s.waiting = Skipped, true
		}
	}
}

// touched are the kinds of which something was done, or tried.
func (p *Plan) touched() state.Kinds {
	var kinds state.Kinds
	for _, s := range p.Steps {
		if s.Result != Skipped {
			kinds = kinds.With(s.Kind)
		}
	}
	return kinds
}

// skipped are the keys of what was left for later.
func (p *Plan) skipped() map[state.Key]bool {
	keys := map[state.Key]bool{}
	for _, s := range p.Steps {
		if s.Result == Skipped {
			keys[s.Key()] = true
		}
	}
	return keys
}

// sentences is how several errors read in one line of a log or status: the first few, and how many more there are.
func sentences(errs []error) string {
	const most = 3
	text := ""
	for i, err := range errs[:min(len(errs), most)] {
		if i > 0 {
			text += "; "
		}
		text += err.Error()
	}
	if len(errs) > most {
		text += fmt.Sprintf("; and %d more", len(errs)-most)
	}
	return text
}

// Errors takes an error of Converge apart.
func Errors(err error) []error {
	if err == nil {
		return nil
	}
	if several := new(multierror.Error); errors.As(err, &several) {
		return several.Errors
	}
	return []error{err}
}

// HoldConflist takes the conflist away if its bridge is missing: until the node's network is there again, the runtime has
// to know that it is not. For the start of a daemon.
func (e *Engine) HoldConflist() error { return e.node.HoldConflist() }
