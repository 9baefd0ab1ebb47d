package main

import (
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/spf13/cobra"
)

func (c *cli) validate() *cobra.Command {
	return &cobra.Command{
		Use:   "validate [FILE|-]",
		Short: "Check a topology: every fault with its line; offline and unprivileged",
		Long: `validate checks a topology, the one in place if no FILE is given, and needs neither privileges nor this node's network.
With --node its entry must exist.`,
		Example: "  podnetctl validate topology.yaml\n  podnetctl validate --node node-17 - < topology.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return c.runValidate(args) },
	}
}

func (c *cli) runValidate(args []string) error {
	s, f, err := c.given(args)
	if err != nil {
		return c.invalid(err)
	}
	t := f.topology
	if s.Node != "" {
		if _, err := (reconcile.Identity{Node: s.Node}).Select(t); err != nil {
			return c.invalid(unlisted(t, err))
		}
	}
	if c.json() {
		return c.writeJSON(newValidation(t.File, nil, t.Warnings, len(t.Nodes)))
	}
	return t.WriteText(c.out, screen.Paint(c.style()))
}
