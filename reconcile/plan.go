package reconcile

import (
	"fmt"
	"slices"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Cause says why a step is there.
type Cause uint8

// The causes: the file asks for something else than the one in force, or the kernel is not what the
// one in force asks for.
const (
	CauseChange Cause = iota
	CauseDrift
)

func (c Cause) String() string { return [...]string{"change", "drift"}[c] }

// Plan is what it takes to make a node what a topology asks for, and how far that has come.
type Plan struct {
	View
	Steps     []*Step
	Conflicts []state.Conflict

	Unknown [state.KindCount]error
	kernel  kernelPeers // where no topology was in force
}

// View is one node seen with one topology, and with the one that was in force before it.
type View struct {
	Topology *schema.Topology
	Node     *schema.Node // this node's entry in Topology
	Facts    state.Facts
	// the node's ip was never here: its files are perhaps another host's, or of another network
	// namespace
	Away bool
	Want *state.Set // what Topology asks for

	InForce *schema.Topology // the topology until now: nil if there is none, Topology itself if it is the same
	Before  *state.Set       // what InForce asks for: nil if there is none, Want itself if it is the same

	Guard *Guard // its verdict on Topology; nil: it was not asked
}

// Lacking is what this host cannot have of the topology, although it has all that the one until now
// asks for. Nil: nothing.
func (v View) Lacking() error {
	if v.Want == nil || v.Before == nil || v.Before == v.Want || v.Before.Lacks != nil {
		return nil
	}
	return v.Want.Lacks
}

// NewPlan compares what a topology asks for with the live node.
func NewPlan(v View, live *state.Live) *Plan {
	p := &Plan{View: v, Unknown: live.Unknown}
	if v.InForce == nil && len(v.Topology.Nodes) > 0 {
		p.kernel = peersInKernel(live, v.Topology, v.Node).callByIP()
	}
	p.Steps, p.Conflicts = Diff(v.Want, live), live.Conflicts
	if v.Away {
		p.spareConflist()
	}
	devices := map[state.Key]Cause{} // of what is made anew, or gets another MAC
	for _, s := range p.Steps {
		s.Cause = p.cause(s)
		if s.lost {
			s.Cause = devices[s.Want.Parent()]
		}
		s.Left = s.Op == state.Delete && s.Cause == CauseChange
		if s.lost || s.Replace != "" {
			devices[s.Key()] = s.Cause
		}
		if s.resets() {
			devices[state.LinkUp{Device: s.Want.Name()}.Key()] = s.Cause
		}
	}
	return p
}

// spareConflist leaves the conflist as it is. It may be that of a node that is alive in another
// network namespace, or on the disk of which this one is a copy; and pods that start here would
// reach nobody.
func (p *Plan) spareConflist() {
	for _, s := range p.Steps {
		if s.Kind == state.KindConflist && s.Result == Planned {
			s.skip("waits for the node's ip, which is on no link of this host")
			s.Waiting = true
		}
	}
}

// cause: what the topology in force asks for too has drifted, and so has what neither asks for. A
// setting of somebody else's link never was podnet's.
func (p *Plan) cause(s *Step) Cause {
	if sysctl, is := s.Want.(state.Sysctl); p.Before == nil || is && sysctl.Link {
		return CauseChange
	}
	asked, _, found := p.Before.Find(s.Key())
	drifted := found && asked == s.Want
	if s.Op == state.Delete {
		_, _, wanted := p.Want.Find(s.Key()) // it has a double
		drifted = wanted || !found
	}
	if drifted {
		return CauseDrift
	}
	return CauseChange
}

// InSync says that the node is as the topology asks, as far as it can be known.
func (p *Plan) InSync() bool {
	return len(p.Steps) == 0 && len(p.Errors()) == 0 && len(p.Counting()) == 0
}

// Counting are the conflicts on account of which podnet's objects, though they are there, have no
// effect.
func (p *Plan) Counting() []state.Conflict {
	var all []state.Conflict
	for _, c := range p.Conflicts {
		if c.Counts {
			all = append(all, c)
		}
	}
	return all
}

// InTheWay are the conflicts about podnet's links that keep a step of the plan from being done.
func (p *Plan) InTheWay() []state.Conflict {
	var all []state.Conflict
	for _, c := range p.Conflicts {
		about := c.Key.Kind == state.KindLink || c.Key.Kind == state.KindLinkUp
		if about && slices.ContainsFunc(p.Steps, func(s *Step) bool { return s.Key() == c.Key }) {
			all = append(all, c)
		}
	}
	return all
}

// Left says in a sentence how many objects are not done: all, as long as nothing was tried.
func (p *Plan) Left() string {
	if counting := p.Counting(); len(p.Steps) == 0 && len(counting) > 0 {
		return Sentence(counting[0])
	}
	n := 0
	for _, s := range p.Steps {
		if s.Result != Done {
			n++
		}
	}
	are := "objects are"
	if n == 1 {
		are = "object is"
	}
	return fmt.Sprintf("%d %s not as the topology in force asks (podnetctl diff)", n, are)
}

// Errors says which kinds of objects could not be read, and why, and what this host cannot have.
func (p *Plan) Errors() []error {
	var errs []error
	for _, err := range p.Unknown {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if p.Want != nil && p.Want.Lacks != nil {
		errs = append(errs, p.Want.Lacks)
	}
	return errs
}

// Peer is the entry that asks for a step, or asked for it in the topology until now, and that
// topology; where none was in force, what the kernel says of the peer that a deletion concerns.
// Nil: the step is the node's own.
func (p *Plan) Peer(s *Step) (*schema.Node, *schema.Topology) {
	t, from := p.Topology, s.Origin
	if s.Op == state.Delete && p.Before == nil {
		return p.kernel.of[s.Key()], t
	}
	if s.Op == state.Delete && p.Before != nil {
		t = p.InForce
		_, from, _ = p.Before.Find(s.Key())
	}
	if from == state.OwnNode {
		return nil, t
	}
	return &t.Nodes[from], t
}

// Concerned is the peer whose object a conflict is about; nil: it is the node's own.
func (p *Plan) Concerned(c state.Conflict) *schema.Node {
	_, from, found := p.Want.Find(c.Key)
	if !found || from == state.OwnNode {
		return nil
	}
	return &p.Topology.Nodes[from]
}

// Count is the number of steps of an operation that are not skipped.
func (p *Plan) Count(op state.Op) int {
	n := 0
	for _, s := range p.Steps {
		if s.Op == op && s.Result != Skipped {
			n++
		}
	}
	return n
}
