package main

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/spf13/cobra"
)

func (c *cli) teardown() *cobra.Command {
	dryRun, force := false, false
	cmd := &cobra.Command{
		Use:   "teardown",
		Short: "Remove everything that podnet owns on this node, and nothing else",
		Long: `teardown removes podnet's devices, entries, routes, chains and conflist, the pods' host ports, and
/var/lib/podnet and /run/podnet. The topology, the plugins, the address leases and host-wide
sysctls stay. It refuses while a daemon runs, and without --force while pods are present;
--dry-run says that too.

Exit codes: 0 done, or with --dry-run said; 1 refused, or not all is removed; 2 an error.`,
		Example: `  podnetctl teardown --dry-run
  systemctl disable --now podnetd && podnetctl teardown`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.runTeardown(dryRun, force) },
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be removed")
	cmd.Flags().BoolVar(&force, "force", false, "do it while pods are present too: they lose their network")
	return cmd
}

func (c *cli) runTeardown(dryRun, force bool) error {
	n, err := c.open("teardown")
	if err != nil {
		return err
	}
	defer n.Close()
	r, err := n.PlanRemoval()
	if err != nil {
		return err
	}
	refused := refuseTeardown(r, force)
	switch {
	case !dryRun && refused != nil:
		return refused
	case dryRun:
		if err := c.showTeardown(n, r, nil, true); err != nil || refused == nil {
			return err
		}
		fmt.Fprintf(c.err, "podnetctl: note: it would be refused now: %s\n", refused)
		return nil
	}
	return c.underNodeLock(n, func() error {
		failed := n.Remove(r, force)
		if r.Plan == nil {
			return failed
		}
		return c.showTeardown(n, r, failed, false)
	})
}

// refuseTeardown says what keeps a teardown from being done; nil: nothing.
func refuseTeardown(r *agent.Removal, force bool) error {
	switch own := r.Plan.Node; {
	case r.DaemonRuns:
		return &agent.Refusal{Reason: "podnetd runs in this network namespace and would put everything back," +
			" so teardown refuses, with --force too: systemctl disable --now podnetd, then podnetctl teardown"}
	case force:
		return nil
	case r.Elsewhere:
		return &agent.Refusal{Reason: fmt.Sprintf("neither %s, the address of %s, nor a device of podnet's"+
			" is in this network namespace: leave it (nsenter -t 1 -n podnetctl teardown), or podnetctl teardown --force",
			own.IP, own.Name)}
	case r.Pods != 0:
		why := screen.Pods(r.Pods) + " on podnet's network would lose it:" +
			" drain the node first, or podnetctl teardown --force"
		return &agent.Refusal{Reason: strings.Join(append([]string{why}, r.PodNames...), "\n  ")}
	}
	return nil
}

// showTeardown says what a teardown would remove, or has removed but for what failed.
func (c *cli) showTeardown(n *node, r *agent.Removal, failed error, planned bool) error {
	var err error
	if c.json() {
		report := document.NewPlan(r.Plan, n.InForce())
		if !planned {
			report.Conclude(failed == nil, failed)
		}
		err = c.writeJSON(report)
	} else {
		err = screen.WriteTeardown(c.out, c.style(), screen.Teardown{
			Plan: r.Plan, Pods: r.Pods, Names: r.PodNames, Planned: planned, Err: failed,
			Directories: r.Directories, Stays: strings.Join(r.Stays, ", "),
		})
	}
	if err == nil && failed != nil {
		return errNo
	}
	return err
}
