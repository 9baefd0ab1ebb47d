package document

import (
	"fmt"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// FileRef names a topology file by path and content.
type FileRef struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// Plan is what has to be done on a node, or what has become of it.
type Plan struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Node       string            `json:"node"`
	InForce    FileRef           `json:"inForce"` // the zero FileRef: there is none
	Proposed   FileRef           `json:"proposed"`
	InSync     bool              `json:"inSync"`
	Summary    reconcile.Summary `json:"summary"`
	Guard      *reconcile.Guard  `json:"guard"` // nil: nothing to guard against, as in a teardown
	Conflicts  []PlanConflict    `json:"conflicts"`
	Steps      []PlanStep        `json:"steps"`
	Errors     []string          `json:"errors,omitempty"` // what could not be read or done
}

// PlanConflict is somebody else's object in podnet's way.
type PlanConflict struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Owner  string `json:"owner"`
	Remedy string `json:"remedy"`
}

// PlanStep is one step of a plan.
type PlanStep struct {
	Op     string           `json:"op"`
	Kind   string           `json:"kind"`
	Name   string           `json:"name"`
	Peer   string           `json:"peer"`
	Reason string           `json:"reason"`
	Cause  string           `json:"cause"`
	Impact reconcile.Impact `json:"impact"`
	Source string           `json:"source"` // FILE:LINE that asks for it; empty: no line does
	Before string           `json:"before"`
	After  string           `json:"after"`
	Result reconcile.Result `json:"result"`
	Error  string           `json:"error"`
}

// NewPlan is a plan for other programs. inForce is where the topology in force is kept, if there is
// one.
func NewPlan(p *reconcile.Plan, inForce FileRef) *Plan {
	peers := p.PeerChanges()
	r := &Plan{
		APIVersion: schema.APIVersion, Kind: "Plan", Node: p.Node.Name, InForce: inForce,
		Proposed: FileRef{p.Topology.File, p.Topology.Digest}, InSync: p.InSync(),
		Summary: p.Summarize(peers), Guard: p.Guard, Conflicts: []PlanConflict{}, Steps: make([]PlanStep, 0, len(p.Steps)),
	}
	for _, c := range p.Conflicts {
		r.Conflicts = append(r.Conflicts, PlanConflict{c.Key.Kind.String(), c.Object(), c.Owner, c.Remedy})
	}
	why := reasons(p, peers)
	for _, s := range p.Steps {
		r.Steps = append(r.Steps, newPlanStep(p, s, why[s]))
	}
	for _, err := range p.Errors() {
		r.Errors = append(r.Errors, err.Error())
	}
	return r
}

// Conclude turns the document of a plan into that of what came of it.
func (r *Plan) Conclude(inSync bool, err error) {
	r.InSync = inSync
	for _, e := range reconcile.Errors(err) {
		r.Errors = append(r.Errors, e.Error())
	}
}

// reason is why a step is there: a sentence, and the line that asks for it.
type reason struct{ sentence, source string }

func newPlanStep(p *reconcile.Plan, s *reconcile.Step, why reason) PlanStep {
	r := PlanStep{
		Op: s.Op.String(), Kind: s.Kind.String(), Name: s.Object().Name(), Reason: why.sentence, Source: why.source,
		Cause: s.Cause.String(), Impact: p.Impact(s), Result: s.Result,
	}
	if peer, _ := p.Peer(s); peer != nil {
		r.Peer = peer.Name
	}
	if s.Replace != "" {
		r.Reason += "; made anew, because " + s.Replace
	}
	if s.Have != nil {
		r.Before = s.Have.Attrs()
	}
	if s.Want != nil {
		r.After = s.Want.Attrs()
	}
	if s.Have != nil && s.Want != nil && r.Before == r.After {
		r.Before, r.After = state.Whole(s.Have), state.Whole(s.Want)
	}
	if s.Err != nil {
		r.Error = s.Err.Error()
	}
	return r
}

// reasons are those of all steps.
func reasons(p *reconcile.Plan, peers []*reconcile.PeerChange) map[*reconcile.Step]reason {
	why := make(map[*reconcile.Step]reason, len(p.Steps))
	for _, s := range p.Steps {
		why[s] = ownReason(p, s)
	}
	fields, _ := p.FieldChanges()
	for _, f := range fields {
		for _, s := range f.Steps {
			why[s] = reason{fmt.Sprintf("%s %s -> %s", f.Field, f.Before, f.After), reconcile.Place(p.Topology, f.Line)}
		}
	}
	for _, c := range peers {
		for _, s := range c.Steps {
			why[s] = reason{c.Sentence(), c.Source(p)}
		}
	}
	return why
}

// ownReason is that of drift, and of a part of the node itself.
func ownReason(p *reconcile.Plan, s *reconcile.Step) reason {
	entry, t := p.Peer(s)
	if entry == nil {
		entry, t = p.Node, p.Topology
	}
	r := reason{"the node's own entry asks for it", reconcile.Place(t, entry.Line)}
	switch {
	case s.Op == state.Delete:
		r = reason{sentence: "nobody asks for it"}
	case s.Cause == reconcile.CauseDrift && s.Kind == state.KindLinkUp:
		r.sentence = "down, and the topology in force asks for it to be up"
	case s.Cause == reconcile.CauseDrift && s.Op == state.Create:
		r.sentence = "gone, and the topology in force asks for it"
	case s.Cause == reconcile.CauseDrift:
		r.sentence = "not as the topology in force asks"
	}
	return r
}
