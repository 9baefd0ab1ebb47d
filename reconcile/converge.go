package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/go-multierror"
	"github.com/podnet/podnet/state"
)

// Converge makes the node what the view asks for and looks again at every kind that this may have touched: what is left
// over is an error. The plan tells what became of each step; the error has everything that went wrong. The caller holds
// the node's lock.
func (e *Engine) Converge(v View) (*Plan, error) {
	e.node.Care(v.Want, v.Facts) // before the look, so that nothing falls in between; and what is about to be made is no news
	plan, err := e.Look(v)
	if err != nil {
		return nil, err
	}
	if len(plan.Steps)+len(plan.Errors()) == 0 {
		return plan, nil
	}
	defer func() { e.node.Care(v.Want, v.Facts) }() // of new devices too
	e.hold(plan)
	failed := multierror.Append(nil, plan.Apply(e.node, e.Progress))
	failed.ErrorFormat = sentences
	again, err := e.look(v, plan.touched())
	if err != nil {
		return plan, multierror.Append(failed, err)
	}
	plan.Conflicts = again.Conflicts
	failed = multierror.Append(failed, plan.leftOver(again)...)
	return plan, failed.ErrorOrNil()
}

// leftOver is what a second look finds still to be done, or cannot see, although nothing has said so: neither the step itself
// nor what it stands on.
func (p *Plan) leftOver(again *Plan) (errs []error) {
	for k, err := range again.unknown {
		if p.unknown[k] == nil && err != nil {
			errs = append(errs, err)
		}
	}
	if len(again.Steps) == 0 {
		return errs
	}
	done, known := map[state.Key][]*Step{}, map[state.Key]bool{}
	for _, s := range p.Steps {
		if s.Result == Done {
			done[s.Key()] = append(done[s.Key()], s)
		} else {
			known[s.Key()] = true
		}
	}
	for _, s := range again.Steps {
		err := fmt.Errorf("did not converge: %s %s %s is still to be done", s.Op, s.Kind, s.Object().Name())
		for _, d := range done[s.Key()] {
			d.Result, d.Err = Failed, err
		}
		if known[s.Key()] || known[s.Object().Parent()] {
			known[s.Key()] = true
			continue
		}
		errs = append(errs, err)
	}
	return errs
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

// sentences is how several errors read in one line of a log or status: the first few, each once however many objects it kept
// from being made, and how many more there are.
func sentences(errs []error) string {
	const most = 3
	var said []string
	for _, err := range errs {
		for text := range strings.Lines(err.Error()) {
			if text = strings.TrimSpace(text); !slices.Contains(said, text) {
				said = append(said, text)
			}
		}
	}
	text := strings.Join(said[:min(len(said), most)], "; ")
	if len(said) > most {
		text += fmt.Sprintf("; and %d more", len(said)-most)
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
