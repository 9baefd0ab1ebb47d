package main

import (
	"cmp"
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
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
	defer n.Close()
	n.Progress = c.showProgress
	return c.underNodeLock(n, func() error { return end(n) })
}

func (c *cli) keepTrial(n *node) error {
	digest, inTime, err := n.Confirm()
	switch {
	case err != nil:
		return err
	case !inTime:
		fmt.Fprintf(c.err, "podnetctl: too late: the trial of %s is over, and is undone\n", screen.ShortDigest(digest))
		return cmp.Or(c.undoTrial(n), errNo)
	}
	return c.showEnd(n, screen.Row{Label: "Confirmed", Text: screen.ShortDigest(digest) + "  stays in force"})
}

func (c *cli) undoTrial(n *node) error {
	p, err := n.Rollback()
	if p != nil || err != nil {
		return c.conclude(n, p, err)
	}
	return c.showEnd(n, screen.Row{Label: "Undone", Text: "nothing is in force, as before"})
}

// showEnd says how a trial has ended without a pass: other programs get what there still is to do.
func (c *cli) showEnd(n *node, row screen.Row) error {
	if !c.json() {
		return screen.WriteRows(c.out, c.style(), []screen.Row{row})
	}
	plan, err := n.Remaining()
	if err != nil {
		return err
	}
	return c.writeJSON(document.NewPlan(plan, n.InForce()))
}

// finish ends a trial that is over and that nobody has ended yet, before anything else is done.
func (c *cli) finish(n *node) error {
	if !n.IsOverdue() {
		return nil
	}
	return c.underNodeLock(n, func() error {
		undone, err := n.Undo(n.Source, false)
		if undone != nil && err == nil {
			fmt.Fprintf(c.err, "podnetctl: note: the trial of %s was over; it is undone first\n",
				screen.ShortDigest(undone.Digest))
		}
		return err
	})
}

// onTrial refuses another topology as long as one is on trial.
func (c *cli) onTrial(f file, t *rollout.Trial) error {
	g := reconcile.Guard{Message: fmt.Sprintf("%s is on trial until %s: first  podnetctl confirm  or  podnetctl rollback",
		screen.ShortDigest(t.Digest), screen.Clock(t.Until, time.Now()))}
	if c.json() {
		return c.refused(f, g, true)
	}
	return &agent.Refusal{Reason: g.Message}
}

// awaitVerb is podnetctl as the process that ends a trial; see awaitElsewhere.
const awaitVerb = "await-end-of-trial"

// awaitElsewhere starts the process that ends the trial of a digest.
func (c *cli) awaitElsewhere(digest string) error {
	return c.detach(append([]string{awaitVerb, digest}, c.shared.Given()...))
}

func (c *cli) await() *cobra.Command {
	return &cobra.Command{
		Use: awaitVerb + " DIGEST", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "What apply --confirm leaves behind: ends the trial of a topology when it is over",
		RunE:  func(_ *cobra.Command, args []string) error { return c.runAwait(args[0]) },
	}
}

// runAwait outlives terminal, session and daemon. It tries to end the trial until it has ended.
func (c *cli) runAwait(digest string) error {
	const pause = 500 * time.Millisecond
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	s, err := c.settings()
	if err != nil {
		return err
	}
	for {
		over, err := agent.AwaitTrial(context.Background(), s.Paths, digest)
		if !over || err != nil {
			return err
		}
		if err := c.endTrial(awaitVerb, c.undoTrial); err != nil {
			time.Sleep(pause)
		}
	}
}
