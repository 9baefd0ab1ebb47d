package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/pods"
	"github.com/spf13/cobra"
)

func (c *cli) teardown() *cobra.Command {
	dryRun, force := false, false
	cmd := &cobra.Command{
		Use:   "teardown",
		Short: "Remove everything that podnet owns on this node, and nothing else",
		Long: `teardown removes podnet's devices, entries, routes, chains and conflist, and /var/lib/podnet and
/run/podnet. The topology, the plugins, the address leases and host-wide sysctls stay. It refuses
while a daemon runs, and without --force while pods are present; --dry-run says that too.

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
	defer n.close()
	view := n.bare()
	end := ending{planned: dryRun, pods: n.podNames(view.Topology), directories: n.directories()} // the lock makes one
	refused := n.refuseTeardown(view, force, end.pods)
	if dryRun {
		plan, err := n.engine.Look(view)
		if err != nil {
			return err
		}
		if err := c.showTeardown(n, plan, nil, end); err != nil {
			return err
		}
		if because := new(refusal); errors.As(refused, &because) {
			fmt.Fprintf(c.err, "podnetctl: note: it would be refused now: %s\n", because)
			return nil
		}
		return refused
	}
	if refused != nil {
		return refused
	}
	return c.underNodeLock(n, func() error {
		plan, err := n.remove(view, force)
		if plan == nil {
			return err
		}
		return c.showTeardown(n, plan, err, end)
	})
}

// refuseTeardown says what keeps a teardown from being done; nil: nothing. pods are the names of
// those that are present.
func (n *node) refuseTeardown(view reconcile.View, force bool, pods []string) error {
	if agent.DaemonRuns(n.Paths) {
		return &refusal{"podnetd runs in this network namespace and would put everything back, so teardown refuses, with --force too: " +
			"systemctl disable --now podnetd, then podnetctl teardown"}
	}
	if force {
		return nil
	}
	if where, err := n.elsewhere(view); err != nil || where != "" {
		return cmp.Or(err, error(&refusal{where + ": leave it (nsenter -t 1 -n podnetctl teardown), or podnetctl teardown --force"}))
	}
	if count := n.pods(view.Topology); count != 0 {
		return &refusal{fmt.Sprintf("%s on podnet's network would lose it: drain the node first, or podnetctl teardown --force%s", screen.Pods(count), listed(pods))}
	}
	return nil
}

// elsewhere says that the network namespace has neither the node's address nor a device of
// podnet's, such as a pod's: the directories are those of a node that is alive in another. "": it
// is the node's, as far as can be told.
func (n *node) elsewhere(view reconcile.View) (string, error) {
	own := view.Node
	if !own.IP.IsValid() || slices.Contains(n.id.Addrs, own.IP) { // without a topology nobody knows its address
		return "", nil
	}
	plan, err := n.engine.Look(view)
	if err != nil || slices.ContainsFunc(plan.Steps, func(s *reconcile.Step) bool { return s.Kind == state.KindLink }) {
		return "", err
	}
	return fmt.Sprintf("neither %s, the address of %s, nor a device of podnet's is in this network namespace", own.IP, own.Name), nil
}

// ending is what else there is to say of a teardown.
type ending struct {
	planned     bool
	pods        []string // that lose their network
	directories []string // of podnet's own, that there are
}

// directories are podnet's own as far as they exist.
func (n *node) directories() []string {
	return slices.DeleteFunc([]string{n.Paths.StateDir, n.Paths.RunDir}, func(dir string) bool {
		_, err := os.Lstat(dir)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// listed puts names below a sentence.
func listed(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return "\n  " + strings.Join(names, "\n  ")
}

// podNames are the pods with a host veth as a person knows them: the runtime's name, else the
// container, else the veth.
func (n *node) podNames(t *schema.Topology) []string {
	if n.verdict.Previous != nil {
		t = n.verdict.Previous
	}
	pods, err := pods.List(n.engine.Live(), cmp.Or(t.Network.CNI.Name, schema.DefaultNetwork().CNI.Name), t.Network.Bridge.Name)
	if err != nil {
		return nil // those that are there are counted all the same
	}
	var names []string
	for _, p := range pods {
		if p.Veth.Device != "" {
			names = append(names, cmp.Or(p.Name, p.Owner.ContainerID, p.Veth.Device))
		}
	}
	return names
}

// remove takes everything away: pods only if it is told to, podnet's directories only if nothing
// else is left.
func (n *node) remove(view reconcile.View, pods bool) (*reconcile.Plan, error) {
	var failed error
	if pods {
		_, failed = n.engine.Live().DeleteAll()
	}
	plan, err := n.engine.Converge(view)
	if err = errors.Join(failed, err); err == nil {
		err = errors.Join(os.RemoveAll(n.Paths.StateDir), os.RemoveAll(n.Paths.RunDir))
	}
	return plan, err
}

// bare is this node when nobody asks anything of it.
func (n *node) bare() reconcile.View {
	name := cmp.Or(n.id.Node, n.id.Hostname)
	v := reconcile.View{Topology: &schema.Topology{}, Node: &schema.Node{Name: name}, Want: &state.Set{}}
	if t := n.verdict.Topology; t != nil {
		v.Topology.Network = t.Network
		if own, err := n.id.Select(t); err == nil {
			v.Node = own
		}
	}
	return v
}

func (c *cli) showTeardown(n *node, plan *reconcile.Plan, failed error, o ending) error {
	var err error
	if c.json() {
		r := plan.Report(n.inForce())
		if !o.planned {
			r.Conclude(failed == nil, failed)
		}
		err = c.writeJSON(r)
	} else {
		err = screen.WriteTeardown(c.out, c.style(), screen.Teardown{
			Plan: plan, Pods: n.pods(plan.Topology), Names: o.pods, Planned: o.planned, Err: failed,
			Directories: o.directories, Stays: n.stays(),
		})
	}
	switch {
	case err != nil:
		return err
	case failed != nil:
		return errNo
	}
	return nil
}

// stays are the host-wide sysctls that podnet may have set.
func (n *node) stays() string {
	names := []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"}
	if t := n.verdict.Topology; t != nil {
		if v, err := n.engine.View(t, nil); err == nil {
			names = nil
			for _, s := range v.Want.Sysctls.Rows() {
				names = append(names, s.Path)
			}
		}
	}
	return strings.Join(names, ", ")
}
