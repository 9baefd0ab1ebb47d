package agent

import (
	"github.com/hashicorp/go-multierror"
	"github.com/podnet/podnet/reconcile"
)

// Converge makes the node what the view asks for and looks again at every kind that this may have
// touched: what is left over is an error. The plan tells what became of each step; the error has
// everything that went wrong. The caller holds the node's lock.
func (e *Engine) Converge(v reconcile.View) (*reconcile.Plan, error) {
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
	failed.ErrorFormat = reconcile.Sentences
	again, err := e.look(v, plan.Touched())
	if err != nil {
		return plan, multierror.Append(failed, err)
	}
	plan.Conflicts = again.Conflicts
	failed = multierror.Append(failed, plan.LeftOver(again)...)
	return plan, failed.ErrorOrNil()
}

// hold takes out of a plan what is not to be done yet; what needs that waits for it, as for
// anything that fails.
func (e *Engine) hold(p *reconcile.Plan) {
	for _, s := range p.Steps {
		if e.Hold == nil || s.Result != reconcile.Planned {
			continue
		}
		if s.Err = e.Hold(s); s.Err != nil {
			s.Result, s.Waiting = reconcile.Skipped, true
		}
	}
}
