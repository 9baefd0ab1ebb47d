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

func (c *cli) apply() *cobra.Command {
	var p agent.Proposal
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
		RunE: func(_ *cobra.Command, args []string) error { return c.runApply(args, p) },
	}
	cmd.Flags().BoolVar(&p.Allow, "allow-disruption", false,
		"do it whatever the guard says; without FILE: accept the refused file in place")
	options.Duration(cmd.Flags(), &p.Trial, "confirm", 0, time.Second,
		"on trial: undo it after so long unless podnetctl confirm comes before")
	return cmd
}

func (c *cli) runApply(args []string, p agent.Proposal) error {
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
	p.Topology, p.Data, p.Given, p.Await = f.topology, f.data, len(args) > 0, c.awaitElsewhere
	return c.underNodeLock(n, func() error {
		pass, err := n.Apply(p)
		return c.showApplied(n, f, !p.Given, pass, err)
	})
}

// showApplied says what has come of an apply of f, which may be the file in place.
func (c *cli) showApplied(n *node, f file, inPlace bool, p *agent.Pass, err error) error {
	var refused *rollout.Refused
	var onTrial *agent.OnTrialError
	switch {
	case errors.As(err, &refused):
		return c.refused(f, refused.Guard, inPlace)
	case errors.As(err, &onTrial):
		return c.onTrial(f, onTrial.Trial)
	case p != nil && !p.Plan.Facts.IPLocal:
		own := p.Plan.Node
		fmt.Fprintf(c.err, "podnetctl: warning: %s, the ip of %s, is on no link of this host, so other nodes cannot be"+
			" reached: add it to one, or correct %s:%d\n", own.IP, own.Name, f.topology.File, own.Line)
	}
	return c.conclude(n, p, err)
}
