package reconcile

import (
	"fmt"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// FileRef names a topology file by path and content.
type FileRef struct {
	Path   string `json:"path"`
	Digest string `json:"digest"`
}

// PlanReport is a Plan for other programs.
type PlanReport struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Node       string           `json:"node"`
	InForce    FileRef          `json:"inForce"` // the zero FileRef: there is none
	Proposed   FileRef          `json:"proposed"`
	InSync     bool             `json:"inSync"`
	Summary    Summary          `json:"summary"`
	Guard      *Guard           `json:"guard"` // nil: nothing to guard against, as in a teardown
	Conflicts  []ConflictReport `json:"conflicts"`
	Steps      []StepReport     `json:"steps"`
	Errors     []string         `json:"errors,omitempty"` // what could not be read or done
}

// ConflictReport is somebody else's object in podnet's way.
type ConflictReport struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Owner  string `json:"owner"`
	Remedy string `json:"remedy"`
}

// StepReport is one step.
type StepReport struct {
	Op     string `json:"op"`
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Peer   string `json:"peer"`
	Reason string `json:"reason"`
	Cause  string `json:"cause"`
	Impact Impact `json:"impact"`
	Source string `json:"source"` // FILE:LINE that asks for it; empty: no line does
	Before string `json:"before"`
	After  string `json:"after"`
	Result Result `json:"result"`
	Error  string `json:"error"`
}

// Report is the plan for other programs. inForce is where the topology in force is kept, if there
// is one.
func (p *Plan) Report(inForce FileRef) *PlanReport {
	peers := p.PeerChanges()
	r := &PlanReport{
		APIVersion: schema.APIVersion, Kind: "Plan", Node: p.Node.Name, InForce: inForce,
		Proposed: FileRef{p.Topology.File, p.Topology.Digest}, InSync: p.InSync(),
		Summary: p.Summarize(peers), Guard: p.Guard, Conflicts: []ConflictReport{}, Steps: make([]StepReport, 0, len(p.Steps)),
	}
	for _, c := range p.Conflicts {
		r.Conflicts = append(r.Conflicts, ConflictReport{c.Key.Kind.String(), c.Object(), c.Owner, c.Remedy})
	}
	why := p.reasons(peers)
	for _, s := range p.Steps {
		r.Steps = append(r.Steps, p.stepReport(s, why[s]))
	}
	for _, err := range p.Errors() {
		r.Errors = append(r.Errors, err.Error())
	}
	return r
}

// Conclude turns the report of a plan into that of what came of it.
func (r *PlanReport) Conclude(inSync bool, err error) {
	r.InSync = inSync
	for _, e := range Errors(err) {
		r.Errors = append(r.Errors, e.Error())
	}
}

// reason is why a step is there: a sentence, and the line that asks for it.
type reason struct{ sentence, source string }

func (p *Plan) stepReport(s *Step, why reason) StepReport {
	r := StepReport{
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
func (p *Plan) reasons(peers []*PeerChange) map[*Step]reason {
	why := make(map[*Step]reason, len(p.Steps))
	for _, s := range p.Steps {
		why[s] = p.ownReason(s)
	}
	fields, _ := p.FieldChanges()
	for _, f := range fields {
		for _, s := range f.Steps {
			why[s] = reason{fmt.Sprintf("%s %s -> %s", f.Field, f.Before, f.After), Place(p.Topology, f.Line)}
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
func (p *Plan) ownReason(s *Step) reason {
	entry, t := p.Peer(s)
	if entry == nil {
		entry, t = p.Node, p.Topology
	}
	r := reason{"the node's own entry asks for it", Place(t, entry.Line)}
	switch {
	case s.Op == state.Delete:
		r = reason{sentence: "nobody asks for it"}
	case s.Cause == CauseDrift && s.Kind == state.KindLinkUp:
		r.sentence = "down, and the topology in force asks for it to be up"
	case s.Cause == CauseDrift && s.Op == state.Create:
		r.sentence = "gone, and the topology in force asks for it"
	case s.Cause == CauseDrift:
		r.sentence = "not as the topology in force asks"
	}
	return r
}

// Sentence says what has become of the peer.
func (c *PeerChange) Sentence() string {
	switch c.Fate {
	case PeerAdded:
		return c.Name + " is new here"
	case PeerChanged:
		return NodeDifference(c.Before, c.Now)
	case PeerRemade:
		return "made anew with the device"
	}
	if c.removed > 0 {
		return "named in removedNodes"
	}
	return "NOT named in removedNodes"
}

// Source is the line that asks for the change: of the peer's entry, or of its name in removedNodes.
// "": no line does.
func (c *PeerChange) Source(p *Plan) string {
	if c.Now != nil {
		return Place(p.Topology, c.Now.Line)
	}
	return Place(p.Topology, p.Topology.Line(fmt.Sprintf("removedNodes[%d]", c.removed-1)))
}

// Place is a line of a topology as FILE:LINE; "" for line 0.
func Place(t *schema.Topology, line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", t.File, line)
}
