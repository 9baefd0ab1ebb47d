package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/podnet/podnet/cmd/internal/options"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/rollout"
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
	defer n.Close()
	if err := c.finish(n); err != nil {
		return err
	}
	f, err := c.proposed(n, args)
	if err != nil {
		return c.invalid(err)
	}
	n.Progress = c.showProgress
	return c.underNodeLock(n, func() error { return c.applyLocked(n, f, flags, len(args) > 0) })
}

// applyLocked is apply under the node's lock. given says that f was named on the command line, and
// is not the one in place.
func (c *cli) applyLocked(n *node, f file, flags applyFlags, given bool) error {
	p, err := n.Apply(agent.Proposal{
		Topology: f.topology, Data: f.data, Given: given, Allow: flags.allow, Trial: flags.confirm, Await: c.awaitElsewhere,
	})
	var refused *rollout.Refused
	var onTrial *agent.OnTrialError
	switch {
	case errors.As(err, &refused):
		return c.refused(f, refused.Guard, !given)
	case errors.As(err, &onTrial):
		return c.onTrial(f, onTrial.Trial)
	case p != nil && !p.Plan.Facts.IPLocal:
		own := p.Plan.Node
		fmt.Fprintf(c.err, "podnetctl: warning: %s, the ip of %s, is on no link of this host, so other nodes cannot be"+
			" reached: add it to one, or correct %s:%d\n", own.IP, own.Name, f.topology.File, own.Line)
	}
	return c.conclude(n, p, err)
}
