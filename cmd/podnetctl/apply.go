package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/spf13/cobra"
)

// applyFlags are those of apply alone.
type applyFlags struct {
	allow bool
}

func (c *cli) apply() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply [FILE|-]",
		Short: "Put a topology in place and make this node follow it, now",
		Long: `apply checks FILE, has the guard compare it with the topology in force, puts it in place as this node's topology, and makes one
pass. Without FILE it makes one pass with the file in place. It prints what was done. Exit codes: 0 the node is in sync; 1 it is
not, or the file was refused; 2 an error.`,
		Example: "  podnetctl apply topology.yaml\n  podnetctl apply\n  podnetctl apply --allow-disruption",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return c.runApply(args, f) },
	}
	cmd.Flags().BoolVar(&f.allow, "allow-disruption", false, "whatever the guard says; without FILE: accept the file in place although it was refused")
	return cmd
}

func (c *cli) runApply(args []string, flags applyFlags) error {
	n, err := c.open("apply")
	if err != nil {
		return err
	}
	defer n.close()
	f, err := c.proposed(n, args)
	if err != nil {
		return c.invalid(err)
	}
	unlock, err := reconcile.Lock(context.Background(), n.Paths.Lock, nil)
	if err != nil {
		return err
	}
	defer unlock()
	n.verdict = n.source.Judge(n.id) // others may have had the lock before
	guard, err := n.guard(f.topology)
	if err != nil {
		return err
	}
	if !guard.Passes && !flags.allow {
		return c.refused(f, guard, len(args) == 0)
	}
	if err := c.feasible(n, f.topology); err != nil {
		return err
	}
	if len(args) > 0 {
		if err := putInPlace(n.Paths.Topology, f.data); err != nil {
			return err
		}
	}
	return c.pass(n, f.topology, &guard)
}

// feasible refuses, before anything is changed, what this host cannot do, and warns of what it cannot do yet.
func (c *cli) feasible(n *node, t *schema.Topology) error {
	view, err := n.engine.View(t, n.verdict.Previous)
	if err == nil && !view.Facts.IPLocal {
		fmt.Fprintf(c.err, "podnetctl: warning: %s, the ip of %s, is on no link of this host, so other nodes cannot be reached: add it to one, or correct %s:%d\n",
			view.Node.IP, view.Node.Name, t.File, view.Node.Line)
	}
	return err
}

// putInPlace replaces the node's topology, or the file that it is a symbolic link to. One that holds the same is left
// alone.
func putInPlace(path string, data []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if have, err := reconcile.ReadTopology(path); err == nil && schema.Digest(have) == schema.Digest(data) {
		return nil
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
	}
	return state.ReplaceFile(path, data, mode)
}

// pass converges this node to the topology in place, which was checked to be t, and says what came of it. The guard has
// spoken, and the operator the last word. The caller holds the lock.
func (c *cli) pass(n *node, t *schema.Topology, guard *reconcile.Guard) error {
	before := n.inForce()
	p := reconcile.Pass{At: time.Now(), Verdict: n.source.Overrule(n.id)}
	if v := p.Verdict; v.Topology == nil || v.Topology.Digest != t.Digest {
		return fmt.Errorf("%s was changed by somebody else meanwhile: look at it, and try again", n.Paths.Topology)
	}
	if err := n.source.Keep(&p.Verdict); err != nil {
		return err
	}
	view, err := n.engine.View(t, p.Verdict.Previous)
	if err != nil {
		return err
	}
	view.Guard = guard
	bar := c.bar()
	n.engine.Progress = bar.show
	p.Plan, p.Err = n.engine.Converge(view)
	bar.clear()
	p.Took = time.Since(p.At)
	if p.Plan == nil {
		return p.Err
	}
	if err := n.report(&p); err != nil {
		return err
	}
	if c.json() {
		r := p.Plan.Report(before)
		r.Conclude(p.InSync(), p.Err)
		err = c.writeJSON(r)
	} else {
		s := n.screen(p.Plan, false)
		s.Applied, s.Daemon, s.Closing = true, "", outcome(&p)
		err = screen.WritePlan(c.out, c.style(), s)
	}
	if err == nil && !p.InSync() {
		err = errNo
	}
	return err
}

// report writes the node's status, unless that is a daemon's business.
func (n *node) report(p *reconcile.Pass) error {
	if reconcile.DaemonRuns() {
		return nil
	}
	before, err := reconcile.ReadStatus(n.Paths.Status)
	if err != nil {
		before = nil // none, or one that nobody can read: it is replaced
	}
	s := p.Status(before)
	s.Version, s.BootID = version, state.BootID()
	return s.Write(n.Paths.Status)
}

// outcome is the last line about a pass.
func outcome(p *reconcile.Pass) screen.Closing {
	if p.InSync() {
		return screen.Closing{Label: "Applied", Text: "in sync after " + screen.Milliseconds(p.Took.Seconds())}
	}
	c := screen.Closing{Label: "NOT IN SYNC", Text: fmt.Sprint(p.Err), Bad: true}
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
