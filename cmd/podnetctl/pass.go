package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
)

// conclude says what a pass has done, and answers whether the node is in sync. failed is what went
// wrong beside the pass, which is nil if nothing was done.
func (c *cli) conclude(n *node, p *agent.Pass, failed error) error {
	if p == nil {
		return failed
	}
	if err := errors.Join(c.showPass(n, p), failed); err != nil {
		return err
	}
	if !p.InSync() {
		return errNo
	}
	return nil
}

func (c *cli) showPass(n *node, p *agent.Pass) error {
	if c.json() {
		r := document.NewPlan(p.Plan, n.InForce())
		r.Conclude(p.InSync(), p.Err)
		return c.writeJSON(r)
	}
	s := n.screen(p.Plan, false)
	s.Applied, s.Daemon, s.Closing = true, "", n.outcome(p)
	return screen.WritePlan(c.out, c.style(), s)
}

// outcome is the last line about a pass.
func (n *node) outcome(p *agent.Pass) screen.Closing {
	if t := p.Decision.Trial; t != nil && p.InSync() {
		return screen.Closing{Label: "On trial", Text: fmt.Sprintf("in sync after %s; undone in %s unless confirmed:"+
			"  podnetctl confirm   (or, at once:  podnetctl rollback)",
			screen.Milliseconds(p.Took.Seconds()), n.Source.Left(t).Round(time.Second))}
	}
	if p.InSync() {
		return screen.Closing{Label: "Applied", Text: "in sync after " + screen.Milliseconds(p.Took.Seconds())}
	}
	c := screen.Closing{Label: "NOT IN SYNC", Text: "resolve the conflict named above: apply will not touch it", Bad: true}
	if p.Err != nil {
		c.Text = fmt.Sprint(p.Err)
	}
	if p.Plan.Away && p.Err == nil {
		c.Text = fmt.Sprintf("the rest is in place, and podnetd, or podnetctl apply, does it as soon as %s"+
			" is on a link of this host", p.Plan.Node.IP)
		return c
	}
	for _, s := range p.Plan.Steps {
		switch s.Result {
		case reconcile.Failed:
			c.Text = "the rest is in place; correct what is named above, then: podnetctl apply"
			return c
		case reconcile.Skipped:
			c.Text = "resolve the conflict named above, then: podnetctl apply"
		}
	}
	return c
}
