package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/spf13/cobra"
)

func (c *cli) validate() *cobra.Command {
	against := ""
	cmd := &cobra.Command{
		Use:   "validate [FILE|-]",
		Short: "Check a topology: every fault with its line; offline and unprivileged",
		Long: `validate checks a topology, the one in place if no FILE is given (- is standard input). It needs
neither privileges nor this node's network. With --node its entry must exist. With --against the
guard compares it with another topology, such as the one in force, as that node would; pods count
as present. If there is no such file there is no guard, and a note says so.

Exit codes: 0 valid, and the guard lets it pass; 1 not so; 2 an error.`,
		Example: `  podnetctl validate topology.yaml
  podnetctl validate --node node-17 --against /var/lib/podnet/last-good.yaml new.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return c.runValidate(args, against) },
	}
	cmd.Flags().StringVar(&against, "against", "",
		"have the guard compare it with the topology in this `FILE` (- is standard input)")
	return cmd
}

func (c *cli) runValidate(args []string, against string) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	name := c.fileName(args, s.Paths)
	if name == stdin && against == stdin {
		return errors.New("FILE and --against are both standard input, which can be read once: name one of them as a file")
	}
	f, err := c.read(name, s.Paths, schema.Parse)
	if err != nil {
		return c.invalid(err)
	}
	t := f.topology
	var own *schema.Node
	if s.Node != "" {
		if own, err = (reconcile.Identity{Node: s.Node}).Select(t); err != nil {
			return c.invalid(unlisted(t, err))
		}
		t.Warnings = append(t.Warnings, lanWarnings(s.Paths, t, own)...)
	}
	guard, err := c.against(against, own, t)
	if err != nil {
		return err
	}
	if c.json() {
		v := document.NewValidation(t.File, nil, t.Warnings, len(t.Nodes))
		v.Guard = guard
		err = c.writeJSON(v)
	} else {
		err = c.writeValid(t, guard)
	}
	if err == nil && guard != nil && !guard.Passes {
		err = errNo
	}
	return err
}

// lanWarnings are what this host's subnets have to say of a topology, if it is the host of the
// entry. Elsewhere, and where the addresses cannot be listed, there is nothing to say: validate
// works offline.
func lanWarnings(paths state.Paths, t *schema.Topology, own *schema.Node) []schema.Fault {
	n, err := kernel.Open(paths)
	if err != nil {
		return nil
	}
	defer n.Close()
	addrs, err := n.HostAddrs()
	if err != nil {
		return nil
	}
	return kernel.WarnOfLANs(t, own, addrs)
}

func (c *cli) writeValid(t *schema.Topology, guard *reconcile.Guard) error {
	err := t.WriteText(c.out, screen.Paint(c.style()))
	if err == nil && guard != nil {
		err = screen.WriteGuard(c.out, c.style(), *guard)
	}
	return err
}

// against is the guard's verdict on t, in which own is this node's entry, after the topology of
// another file; nil, and a note, if there is none to compare with. A file that is no topology was
// never in force, and its repair has to pass.
func (c *cli) against(path string, own *schema.Node, t *schema.Topology) (*reconcile.Guard, error) {
	if path == "" {
		return nil, nil
	}
	data, err := c.content(path)
	if errors.Is(err, fs.ErrNotExist) {
		fmt.Fprintf(c.err, "podnetctl: note: there is no %s, so there is nothing for the guard to compare with\n", path)
		return nil, nil
	}
	if err != nil {
		return nil, withRemedy(err, path)
	}
	before, err := schema.Parse(path, data)
	if err != nil {
		fmt.Fprintf(c.err,
			"podnetctl: note: the guard did not run: what it was to compare with is no valid topology, so no node follows that, "+
				"and what repairs it has to pass (each node's own guard compares with what is in force there): %v\n", err)
		return nil, nil
	}
	guard, err := reconcile.Protect(nil, own, before, t)
	return &guard, err
}
