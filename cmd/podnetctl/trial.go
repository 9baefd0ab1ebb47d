package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state/kernel"
	"github.com/spf13/cobra"
)

func (c *cli) confirm() *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Keep the topology that apply --confirm has put on trial",
		Long: `confirm ends a trial: its topology stays in force.

Exit codes: 0 it does; 1 there is no trial, or it was over and has been undone; 2 an error.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.endTrial("confirm", c.keepTrial) },
	}
}

func (c *cli) rollback() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback",
		Short: "Undo the topology that apply --confirm has put on trial, now",
		Long: `rollback ends a trial: the file before and its network come back.

Exit codes: 0 they are back; 1 there is no trial, or the node is not in sync with what it went
back to; 2 an error.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.endTrial("rollback", c.undoTrial) },
	}
}

// endTrial has a verb end the trial that there is, under the lock.
func (c *cli) endTrial(verb string, end func(*node) error) error {
	n, err := c.open(verb)
	if err != nil {
		return err
	}
	defer n.close()
	return c.underNodeLock(n, func() error {
		n.verdict = n.source.Judge(n.id)
		if n.source.Trial() == nil {
			return &refusal{"no topology is on trial, so " + verb + " has nothing to do (podnetctl status says what is in force)"}
		}
		return end(n)
	})
}

func (c *cli) keepTrial(n *node) error {
	t := n.source.Trial()
	if n.source.Left(t) <= 0 {
		fmt.Fprintf(c.err, "podnetctl: too late: the trial of %s is over, and is undone\n", screen.ShortDigest(t.Digest))
		if err := c.undoTrial(n); err != nil {
			return err
		}
		return errNo
	}
	if err := n.source.Confirm(); err != nil {
		return err
	}
	n.verdict = n.source.Judge(n.id)
	if c.json() {
		return c.planJSON(n)
	}
	return screen.WriteRows(c.out, c.style(), []screen.Row{{Label: "Confirmed", Text: screen.ShortDigest(t.Digest) + "  stays in force"}})
}

// planJSON is what there still is to do.
func (c *cli) planJSON(n *node) error {
	view := n.bare()
	var err error
	if t := n.verdict.Topology; t != nil {
		view, err = n.engine.View(t, t)
	}
	if err != nil {
		return err
	}
	plan, err := n.engine.Look(view)
	if err != nil {
		return err
	}
	return c.writeJSON(plan.Report(n.inForce()))
}

func (c *cli) undoTrial(n *node) error {
	undone, left := n.engine.Undo(n.source, true)
	switch {
	case undone == nil && left != nil:
		return left
	case undone == nil:
		return &refusal{"the topology was confirmed before"}
	}
	v := n.source.Judge(n.id)
	if v.Topology != nil {
		err := c.pass(n, v.Topology, nil, n.source.Judge)
		if left != nil && errors.Is(err, errNo) {
			return left
		}
		return errors.Join(err, left)
	}
	if left != nil {
		return left
	}
	n.verdict = v
	if c.json() {
		return c.planJSON(n)
	}
	return screen.WriteRows(c.out, c.style(), []screen.Row{{Label: "Undone", Text: "nothing is in force, as before"}})
}

// finish ends a trial that is over and that nobody has ended yet, before anything else is done.
func (c *cli) finish(n *node) error {
	if t := n.source.Trial(); t == nil || n.source.Left(t) > 0 {
		return nil
	}
	return c.underNodeLock(n, func() error {
		undone, err := n.engine.Undo(n.source, false)
		if undone != nil && err == nil {
			fmt.Fprintf(c.err, "podnetctl: note: the trial of %s was over; it is undone first\n", screen.ShortDigest(undone.Digest))
		}
		return err
	})
}

// onTrial refuses another topology as long as one is on trial: what to go back to would be in
// doubt.
func (c *cli) onTrial(n *node, f file) error {
	t := n.source.Trial()
	g := reconcile.Guard{Message: fmt.Sprintf("%s is on trial until %s: first  podnetctl confirm  or  podnetctl rollback",
		screen.ShortDigest(t.Digest), screen.Clock(t.Until, time.Now()))}
	if c.json() {
		return c.refused(f, g, true)
	}
	return &refusal{g.Message}
}

// try puts a topology on trial. Whoever will end it waits before it begins: a process of its own,
// for as long as no daemon does it, so that neither the end of this one nor the daemon's matters.
func (c *cli) try(n *node, f file, d time.Duration) error {
	if err := c.detach(append([]string{awaitVerb, f.topology.Digest}, c.shared.Given()...)); err != nil {
		return fmt.Errorf("start the process that would undo it: %w", err)
	}
	_, err := n.source.Begin(&n.verdict, f.data, d)
	return err
}

// awaitVerb is podnetctl as the process that ends a trial; see try.
const awaitVerb = "await-end-of-trial"

func (c *cli) await() *cobra.Command {
	return &cobra.Command{
		Use: awaitVerb + " DIGEST", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "What apply --confirm leaves behind: ends the trial of a topology when it is over",
		RunE:  func(_ *cobra.Command, args []string) error { return c.runAwait(args[0]) },
	}
}

// How often the waiting process looks whether there is still something to wait for, and how long it
// leaves an overdue trial to the daemon.
const (
	awaitPause = 500 * time.Millisecond
	awaitGrace = 2 * time.Second
)

// runAwait outlives terminal, session and daemon. It first waits for the lock, which apply holds
// until all is in place.
func (c *cli) runAwait(digest string) error {
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	s, err := c.settings()
	if err != nil {
		return err
	}
	unlock, err := agent.Lock(context.Background(), s.Paths.Lock, nil)
	if err != nil {
		return err
	}
	if err := unlock(); err != nil {
		return err
	}
	source := rollout.NewSource(s.Paths, nil)
	for {
		t := source.Trial()
		if t == nil || t.Digest != digest || t.BootID != kernel.BootID() {
			return nil
		}
		left := source.Left(t)
		if left > 0 || left > -awaitGrace && agent.DaemonRuns(s.Paths) {
			time.Sleep(min(max(left, awaitPause/10), awaitPause))
			continue
		}
		if err := c.endTrial(awaitVerb, c.undoTrial); err != nil { // it is tried until it is done
			time.Sleep(awaitPause)
		}
	}
}
