package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/podnet/podnet/cmd/internal/options"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/spf13/cobra"
)

// applyFlags are those of apply alone.
type applyFlags struct {
	allow   bool
	confirm time.Duration // 0: for good
}

func (c *cli) apply() *cobra.Command {
	var f applyFlags
	cmd := &cobra.Command{
		Use:   "apply [FILE|-]",
		Short: "Put a topology in place and make this node follow it, now",
		Long: `apply checks FILE (- is standard input), has the guard compare it with the topology in force,
puts it in place as this node's topology, and makes one pass. Without FILE it makes one pass with
the file in place. It prints what was done.

With --confirm the topology is on trial: unless podnetctl confirm comes in time, the file before
and its network come back by themselves, whatever happens to this terminal or to podnetd. A
reboot undoes a trial too.

Exit codes: 0 the node is in sync; 1 it is not, or the file was refused; 2 an error.`,
		Example: `  podnetctl apply topology.yaml
  podnetctl apply --confirm 2m topology.yaml && ping -c 3 node-b && podnetctl confirm
  podnetctl apply --allow-disruption`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.runApply(args, f) },
	}
	cmd.Flags().BoolVar(&f.allow, "allow-disruption", false, "do it whatever the guard says; without FILE: accept the refused file in place")
	options.Duration(cmd.Flags(), &f.confirm, "confirm", 0, time.Second, "on trial: undo it after so long unless podnetctl confirm comes before")
	return cmd
}

func (c *cli) runApply(args []string, flags applyFlags) error {
	n, err := c.open("apply")
	if err != nil {
		return err
	}
	defer n.close()
	if err := c.finish(n); err != nil {
		return err
	}
	f, err := c.proposed(n, args)
	if err != nil {
		return c.invalid(err)
	}
	return c.underNodeLock(n, func() error { return c.applyLocked(n, f, flags, len(args) > 0) })
}

// applyLocked is apply under the node's lock. given says that f was named on the command line, and
// is not the one in place.
func (c *cli) applyLocked(n *node, f file, flags applyFlags, given bool) error {
	n.verdict = n.source.Judge(n.id) // others may have had the lock before
	guard, err := n.objections(f, given)
	if err != nil {
		return err
	}
	if n.source.Trial() != nil && (given || flags.confirm > 0) {
		return c.onTrial(n, f)
	}
	if !guard.Passes && !flags.allow {
		return c.refused(f, guard, !given)
	}
	if err := c.feasible(n, f.topology); err != nil {
		return err
	}
	return c.putInForce(n, f, flags, given, &guard)
}

// objections are the guard's, and to a file that nobody asks for by name that it was rolled back.
func (n *node) objections(f file, given bool) (reconcile.Guard, error) {
	if g := n.verdict.OnDisk.Guard; !given && g != nil && n.verdict.OnDisk.Reason == rollout.ReasonRolledBack {
		return *g, nil
	}
	return n.guard(f.topology)
}

// feasible refuses, before anything is changed, what this host cannot do, and warns of what it
// cannot do yet.
func (c *cli) feasible(n *node, t *schema.Topology) error {
	view, err := n.engine.View(t, n.verdict.Previous)
	if err == nil && !view.Facts.IPLocal {
		fmt.Fprintf(c.err, "podnetctl: warning: %s, the ip of %s, is on no link of this host, so other nodes cannot be reached: add it to one, or correct %s:%d\n",
			view.Node.IP, view.Node.Name, t.File, view.Node.Line)
	}
	if err == nil {
		err = view.Lacking()
	}
	return err
}

// putInForce does what was asked for, now that nothing speaks against it: the file is in place
// before the kernel follows.
func (c *cli) putInForce(n *node, f file, flags applyFlags, given bool, guard *reconcile.Guard) error {
	inForce := n.verdict.Previous
	trial := flags.confirm > 0 && (inForce == nil || inForce.Digest != f.topology.Digest)
	if trial {
		var refused *rollout.Refused
		if err := c.try(n, f, flags.confirm); errors.As(err, &refused) {
			return c.refused(f, refused.Guard, !given)
		} else if err != nil {
			return err
		}
	} else if given || flags.allow {
		if err := n.source.Pardon(f.topology.Digest); err != nil {
			return err
		}
	}
	judge := n.source.Judge
	if given || flags.allow {
		judge = n.source.Overrule
	}
	if !given {
		return c.pass(n, f.topology, guard, judge)
	}
	before, err := rollout.ReadTopology(n.Paths.Topology)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := n.place(f.data, trial); err != nil {
		return err
	}
	err = c.pass(n, f.topology, guard, judge)
	if errors.As(err, new(*rollout.NotKept)) {
		return n.takeBack(before, err)
	}
	return err
}

// takeBack puts the file before in place again, nil: there was none, because the new one cannot
// come into force: why says the reason. An apply does all or nothing.
func (n *node) takeBack(before []byte, why error) error {
	err := os.Remove(n.Paths.Topology)
	if before != nil {
		err = rollout.PutInPlace(n.Paths.Topology, before)
	}
	if err != nil {
		return fmt.Errorf("%w: nothing has changed in the kernel, but the new file is in place at %s and the one before cannot be put back: %w"+
			" (make both writable, then  podnetctl apply --allow-disruption  to accept the new one)", why, n.Paths.Topology, err)
	}
	return fmt.Errorf("%w: nothing has changed, and the new file is not in place (make that writable, then apply again)", why)
}

// place puts a topology in place. If that fails, its trial ends before it has begun.
func (n *node) place(data []byte, trial bool) error {
	err := rollout.PutInPlace(n.Paths.Topology, data)
	if err != nil && trial {
		_, undo := n.engine.Undo(n.source, true)
		err = errors.Join(err, undo)
	}
	return err
}
