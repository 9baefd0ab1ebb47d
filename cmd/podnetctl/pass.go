package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/kernel"
)

// pass converges this node to t, which judge has to find is the one to follow, and says what came
// of it. n.verdict is from before anything was changed. The caller is under the node's lock.
func (c *cli) pass(n *node, t *schema.Topology, guard *reconcile.Guard, judge func(reconcile.Identity) rollout.Verdict) error {
	before := n.inForce()
	p := agent.Pass{At: time.Now(), Verdict: judge(n.id), Squatter: agent.Squatter()}
	if v := p.Verdict; v.Topology == nil || v.Topology.Digest != t.Digest {
		return fmt.Errorf("%s was changed by somebody else meanwhile: look at it, and try again", n.Paths.Topology)
	}
	if err := n.source.Keep(&p.Verdict); err != nil {
		return err
	}
	view, err := n.engine.View(t, n.verdict.Previous)
	if err != nil {
		return err
	}
	view.Guard = guard
	n.engine.Progress = c.progress.show
	p.Plan, p.Err = n.engine.Converge(view)
	p.Took = time.Since(p.At)
	if p.Plan == nil {
		return p.Err
	}
	written := n.report(&p)
	if err := errors.Join(c.showPass(n, &p, before), written); err != nil {
		return err
	}
	if !p.InSync() {
		return errNo
	}
	return nil
}

// showPass says what a pass has done. before is where the topology until then was kept.
func (c *cli) showPass(n *node, p *agent.Pass, before reconcile.FileRef) error {
	if c.json() {
		r := p.Plan.Report(before)
		r.Conclude(p.InSync(), p.Err)
		return c.writeJSON(r)
	}
	s := n.screen(p.Plan, false)
	s.Applied, s.Daemon, s.Closing = true, "", n.outcome(p)
	return screen.WritePlan(c.out, c.style(), s)
}

// report writes the node's status, unless that is a daemon's business.
func (n *node) report(p *agent.Pass) error {
	if agent.DaemonRuns(n.Paths) {
		return nil
	}
	before, err := agent.ReadStatus(n.Paths.Status)
	if err != nil {
		before = nil // none, or one that nobody can read: it is replaced
	}
	s := p.Status(before)
	s.Version, s.BootID = version, kernel.BootID()
	if before != nil && before.BootID == s.BootID {
		s.LastHealed = append(s.LastHealed, before.LastHealed...)
	}
	return agent.WriteStatus(n.Paths.Status, s)
}

// outcome is the last line about a pass.
func (n *node) outcome(p *agent.Pass) screen.Closing {
	if t := p.Verdict.Trial; t != nil && p.InSync() {
		return screen.Closing{Label: "On trial", Text: fmt.Sprintf("in sync after %s; undone in %s unless confirmed:  podnetctl confirm   (or, at once:  podnetctl rollback)",
			screen.Milliseconds(p.Took.Seconds()), n.source.Left(t).Round(time.Second))}
	}
	if p.InSync() {
		return screen.Closing{Label: "Applied", Text: "in sync after " + screen.Milliseconds(p.Took.Seconds())}
	}
	c := screen.Closing{Label: "NOT IN SYNC", Text: "resolve the conflict named above: apply will not touch it", Bad: true}
	if p.Err != nil {
		c.Text = fmt.Sprint(p.Err)
	}
	if p.Plan.Away && p.Err == nil {
		c.Text = fmt.Sprintf("the rest is in place, and podnetd, or podnetctl apply, does it as soon as %s is on a link of this host", p.Plan.Node.IP)
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
