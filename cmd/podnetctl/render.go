package main

import (
	"fmt"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/spf13/cobra"
)

// assumedMTU is that of the underlay link when nobody can look at it.
const assumedMTU = 1500

func (c *cli) render() *cobra.Command {
	return &cobra.Command{
		Use:   "render [FILE|-]",
		Short: "Print the conflist and everything else that a node should hold; offline",
		Long: `render prints what the topology (- is standard input) asks of a node: of any with --node, else of
this one, whose entry is found by the host's name or addresses. It looks at nothing else of this
host: if network.mtu is 0 it assumes an underlay link with an MTU of 1500.`,
		Example: "  podnetctl render --node node-17 topology.yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return c.runRender(args) },
	}
}

func (c *cli) runRender(args []string) error {
	s, f, err := c.given(args)
	if err != nil {
		return c.invalid(err)
	}
	id, err := identity(s)
	if err != nil {
		return err
	}
	node, err := id.Select(f.topology)
	if err != nil {
		return c.invalid(unlisted(f.topology, err))
	}
	facts := state.Facts{Underlay: "the underlay link", UnderlayMTU: assumedMTU, IPLocal: true, IPv6: true}
	set, err := state.Desired(f.topology, node, facts, s.Paths)
	if err != nil {
		return err
	}
	r := document.NewDesiredState(f.topology, node, set)
	r.MTU = state.MTU(f.topology, node, facts)
	if f.topology.Network.MTU == 0 {
		r.Assumed = append(r.Assumed, fmt.Sprintf("network.mtu is 0: an underlay link with an MTU of %d", assumedMTU))
	}
	if c.json() {
		return c.writeJSON(r)
	}
	return screen.WriteDesired(c.out, c.style(), desiredScreen(r, set))
}

// identity asks the host only if nobody has said which node it is.
func identity(s agent.Settings) (reconcile.Identity, error) {
	id := reconcile.Identity{Node: s.Node}
	if s.Node != "" {
		return id, nil
	}
	engine, err := agent.Open(s)
	if err == nil {
		defer engine.Close()
		id, err = engine.Identity()
	}
	if err != nil {
		return id, fmt.Errorf("which node this is cannot be found out: %w (say which with --node)", err)
	}
	return id, nil
}

func desiredScreen(r *document.DesiredState, set *state.Set) screen.Desired {
	d := screen.Desired{Node: r.Node, Topology: screen.File{Path: r.Topology.Path, Digest: r.Topology.Digest}, MTU: r.MTU,
		Assumed: r.Assumed}
	for _, l := range set.Conflists.Rows() {
		d.ConflistPath, d.Conflist = l.Path, l.Content
	}
	for _, o := range r.Objects {
		d.Objects = append(d.Objects, screen.Object{Kind: o.Kind, Name: o.Name, Attrs: o.Attrs})
	}
	return d
}
