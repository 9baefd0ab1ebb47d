package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/podnet/podnet/cmd/internal/privilege"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/doctor"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/inspect"
	surroundings "github.com/podnet/podnet/state/inspect/host"
	"github.com/podnet/podnet/state/kernel"
	"github.com/spf13/cobra"
)

func (c *cli) doctor() *cobra.Command {
	bundle := ""
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what on this host would fight or break podnet, each with its remedy",
		Long: `doctor looks for what stands in podnet's way on this host: other programs' routes, addresses,
devices, packet filters and configuration, settings of the kernel, files that others can change.
It changes nothing, and works without a topology and, as far as it can see then, without root.

Exit codes: 0 no errors (warnings do not count), 1 errors, 2 it could not look.`,
		Example: `  podnetctl doctor
  podnetctl doctor --bundle ticket.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return c.runDoctor(bundle) },
	}
	cmd.Flags().StringVar(&bundle, "bundle", "",
		"also write everything that a ticket needs to this `FILE` (tar.gz), which must not exist yet")
	return cmd
}

func (c *cli) runDoctor(bundle string) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	if err := canBundle(bundle); err != nil {
		return err
	}
	n, err := enter(s)
	if err != nil {
		return err
	}
	defer n.Close()
	report, err := n.examine()
	if err != nil {
		return err
	}
	if c.json() {
		err = c.writeJSON(report)
	} else {
		err = screen.WriteFindings(c.out, c.style(),
			screen.Findings{Node: report.Node, Findings: report.Findings, Unseen: report.Unseen})
	}
	if err == nil && bundle != "" {
		err = c.writeBundle(n, report, bundle)
	}
	if err == nil && document.Broken(report.Findings) {
		err = errNo
	}
	return err
}

// canBundle says what speaks against a file before anything is gathered for it. "" is none.
func canBundle(path string) error {
	if path == "" {
		return nil
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s is there already: name another file", path)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("--bundle %s: %w (make the directory, or name another file)", path, err)
	}
	return nil
}

// examine gathers the facts and has them checked. What cannot be seen is said, and the rest is
// checked.
func (n *node) examine() (document.Findings, error) {
	seen, err := n.See()
	if err != nil {
		return document.Findings{}, err
	}
	network, name := schema.DefaultNetwork(), ""
	if t := n.Followed(); t != nil {
		network, name = t.Network, t.Network.CNI.Name
	}
	f := doctor.Subject{
		Host: surroundings.Read(n.Paths.Root, filepath.Dir(n.Paths.Conflist)), Paths: n.Paths,
		Bridge: network.Bridge.Name, Tunnel: network.VXLAN.Name, Network: name,
	}
	e := examination{node: n, facts: &f, unseen: f.Host.Unseen}
	denied := privilege.Check()
	if denied != nil {
		e.blind("parts of the kernel", fmt.Errorf("podnetctl doctor %w", denied))
	}
	e.topology(seen)
	e.health(seen, denied == nil)
	e.kernel()
	e.files()
	return document.NewFindings(cmp.Or(n.ID.Node, n.ID.Hostname), doctor.Check(f), e.unseen), nil
}

// examination collects facts, and what could not be seen.
type examination struct {
	node   *node
	facts  *doctor.Subject
	unseen []string
}

func (e *examination) blind(what string, err error) {
	if err != nil {
		e.unseen = append(e.unseen, fmt.Sprintf("%s: %v", what, err))
	}
}

// topology is what differs from the topology in force.
func (e *examination) topology(seen *agent.Sight) {
	disk := seen.Decision.OnDisk
	if !disk.Accepted && disk.Reason != rollout.ReasonMissing {
		e.facts.Refused = disk
	}
	switch {
	case seen.Err != nil:
		e.blind("what depends on the topology", seen.Err)
	case seen.Plan == nil:
		e.blind("what depends on the topology", errors.New(disk.Message))
	default:
		e.facts.Plan = seen.Plan
		for _, err := range seen.Plan.Errors() {
			e.blind("a part of the kernel", err)
		}
	}
}

// health is what the node's status says: as seen now, or, where this process may not look, by the
// daemon's last word.
func (e *examination) health(seen *agent.Sight, looks bool) {
	e.facts.Daemon = seen.DaemonRuns
	status := seen.Status
	if !looks {
		status = seen.Written
	}
	if status != nil && (looks || seen.DaemonRuns) {
		e.facts.Ready, e.facts.Degraded = status.Condition(document.Ready), status.Condition(document.Degraded)
	}
}

func (e *examination) kernel() {
	want, live, links := &state.Set{}, e.node.Kernel(), []string{}
	if p := e.facts.Plan; p != nil {
		want, links = p.Want, []string{e.facts.Tunnel, p.Facts.Underlay}
	}
	var err error
	e.facts.Open, err = live.Firewall.OpenTunnel(live.Traffic(want))
	e.blind("who may send to the tunnel", err)
	e.facts.Other, err = live.Firewall.OtherIPTables(live.Traffic(want))
	e.blind("rules of the other iptables", err)
	for _, ipv6 := range []bool{false, true} {
		proxy, err := inspect.UnseenByProxy(live, ipv6)
		e.blind("whether a service proxy sees packets between pods", err)
		if proxy != nil {
			e.facts.Proxies = append(e.facts.Proxies, *proxy)
		}
	}
	e.facts.Tracking = kernel.ReadTracking()
	if p := e.facts.Plan; p != nil && p.Facts.IPLocal {
		e.facts.Claim, err = inspect.FindClaim(live, p.Facts.Underlay, p.Node.IP)
		e.blind("whether another host answers for "+p.Node.IP.String(), err)
	}
	for _, name := range links {
		if o, err := inspect.ReadOffload(live, name); err == nil { // one that is not there offloads nothing
			e.facts.Offloads = append(e.facts.Offloads, o)
		}
	}
}

// files: the plugins and the runtime's directory are as good as the conflist.
func (e *examination) files() {
	p := e.node.Paths
	paths := []string{p.Topology, p.Defaults, p.LastGood, p.Conflist, filepath.Dir(p.Conflist)}
	e.facts.Runtimes = lookups(p)
	for _, l := range e.facts.Runtimes.Lookups {
		paths = append(append(paths, l.Found...), l.Target)
	}
	for _, fault := range e.facts.Runtimes.Faults {
		if fault.Denied {
			e.blind("where "+fault.Runtime+" looks for plugins and conflists", fault)
		}
	}
	e.facts.Untrusted = files.Trust(paths...)
}
