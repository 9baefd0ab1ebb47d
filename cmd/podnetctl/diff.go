package main

import (
	"errors"
	"strings"
	"time"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/spf13/cobra"
)

func (c *cli) diff() *cobra.Command {
	full := false
	cmd := &cobra.Command{
		Use:   "diff [FILE|-]",
		Short: "Say what would be done here, and why; changes nothing",
		Long: `diff compares what a topology asks for, the one in place if no FILE is given (- is standard
input), with this node as it is: every step, the line of the file that asks for it, what traffic
loses by it, and whether the guard lets it pass. It changes nothing and takes no lock.

Exit codes: 0 nothing to do; 1 something is, or the file is refused; 2 an error.`,
		Example: `  podnetctl diff
  podnetctl diff --full new.yaml
  podnetctl diff -o json - < new.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.runDiff(args, full) },
	}
	cmd.Flags().BoolVar(&full, "full", false, "list every object, however many there are")
	return cmd
}

func (c *cli) runDiff(args []string, full bool) error {
	n, err := c.open("diff")
	if err != nil {
		return err
	}
	defer n.Close()
	f, err := c.proposed(n, args)
	if err != nil {
		return c.invalid(err)
	}
	guard, err := n.Objections(f.topology, len(args) > 0)
	if err != nil {
		return err
	}
	inPlace := f.name == n.Paths.Topology
	if c.json() && !guard.Passes {
		return c.refused(f, guard, inPlace)
	}
	guard = guard.For(pathArgument(f.name, inPlace))
	view, err := n.Propose(f.topology)
	if err != nil {
		return err
	}
	view.Guard = &guard
	plan, err := n.Look(view)
	if err != nil {
		return err
	}
	if c.json() {
		err = c.writeJSON(document.NewPlan(plan, n.InForce()))
	} else {
		s := n.screen(plan, full)
		s.Closing = next(plan, f.name, inPlace, s.Daemon == "")
		err = screen.WritePlan(c.out, c.style(), s)
	}
	switch {
	case err != nil:
		return err
	case len(plan.Errors()) > 0:
		return errors.Join(plan.Errors()...)
	case !plan.InSync(), !guard.Passes:
		return errNo
	}
	return nil
}

// screen is a plan for a person, without its closing.
func (n *node) screen(p *reconcile.Plan, full bool) screen.Plan {
	now := time.Now()
	s := screen.Plan{Plan: p, InForce: n.fileInForce(now), Pods: n.Pods(p.Topology), Full: full}
	if p.InForce == p.Topology {
		if s.InForce.Path == n.Paths.Topology {
			s.InForce.Note = "same on disk"
		}
		s.Daemon = n.daemon(now)
		return s
	}
	s.Proposed = screen.File{Path: p.Topology.File, Digest: p.Topology.Digest}
	return s
}

// next is what a person would do about a plan.
func next(p *reconcile.Plan, file string, inPlace, daemon bool) screen.Closing {
	command := "podnetctl apply"
	if !inPlace {
		command += " " + file
	}
	switch {
	case len(p.Steps) == 0:
		return screen.Closing{}
	case p.Guard != nil && !p.Guard.Passes:
		return screen.Closing{Label: "Nothing changed.", Text: "The guard refuses this file."}
	case p.InForce != p.Topology && rollout.Irreversible(p.InForce, p.Topology) != nil:
		return screen.Closing{Label: "Nothing changed.", Text: "Apply: " + command}
	case p.InForce != p.Topology:
		return screen.Closing{Label: "Nothing changed.",
			Text: "Apply: " + strings.Replace(command, "apply", "apply --confirm 2m", 1)}
	case p.Count(state.Create)+p.Count(state.Update)+p.Count(state.Delete) == 0:
		return screen.Closing{Label: "Nothing heals.",
			Text: "Resolve the conflict named above first; podnetd, or podnetctl apply, does the rest."}
	case daemon && len(p.InTheWay()) > 0:
		return screen.Closing{Label: "Heal", Text: "podnetd does, by itself, once the conflict named above is resolved"}
	case daemon:
		return screen.Closing{Label: "Heal", Text: "podnetd does, by itself; if it does not: journalctl -u podnetd"}
	}
	return screen.Closing{Label: "Heal", Text: "systemctl start podnetd   or   " + command}
}
