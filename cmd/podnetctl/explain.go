package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/explain"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
	"github.com/spf13/cobra"
)

// explainFlags are those of explain alone.
type explainFlags struct {
	from       string
	probe, all bool
}

func (c *cli) explain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain [IP|IP:PORT|NODE]",
		Short: "Follow a packet from here, hop by hop, and say which hop is broken",
		Long: `explain asks the kernel how a packet would travel, policy rules and longer prefixes included, and
names the first hop that is broken, its cause and the command that mends it. It changes nothing
and takes no lock. Without --from the packet comes from this node's bridge; a pod is given by its
address, by NAMESPACE/NAME, or by the beginning of its container id. With an address from outside a
packet is followed that comes in from there. IP:PORT, or [IPv6]:PORT, follows the rules that give
host ports and services another destination.

Exit codes: 0 every hop is fine; 1 one is broken; 2 an error.`,
		Example: `  podnetctl explain --from default/web-7f9c --probe 10.244.42.9
  podnetctl explain node-42
  podnetctl explain --from 203.0.113.7 192.0.2.11:8080
  podnetctl explain --all --probe`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return c.runExplain(cmd.Context(), f, args) },
	}
	cmd.Flags().StringVar(&f.from, "from", "",
		"the sender, `POD|IP`: a pod of this node, an address of it, or one outside")
	cmd.Flags().BoolVar(&f.probe, "probe", false, "send real packets, and say whether they arrive")
	cmd.Flags().BoolVar(&f.all, "all", false, "a line for every peer")
	return cmd
}

func (c *cli) runExplain(ctx context.Context, f explainFlags, args []string) error {
	switch {
	case f.all && len(args) > 0:
		return fmt.Errorf("--all goes to every peer: leave %s out", args[0])
	case !f.all && len(args) == 0:
		return errors.New("say where to: explain IP, explain IP:PORT, explain NODE, or explain --all")
	}
	n, err := c.open("explain")
	if err != nil {
		return err
	}
	defer n.Close()
	g, err := n.guide(f)
	if err != nil {
		return err
	}
	if f.all && g.sources[0].Outside {
		return fmt.Errorf("--all goes from this node to every peer: give --from a pod or an address of it, not %s", f.from)
	}
	if f.all {
		return c.explainAll(ctx, g)
	}
	way, err := g.way(args[0])
	if err != nil {
		return err
	}
	if err := explain.Look(g.live, []*explain.Trace{way}); err != nil {
		return err
	}
	if f.probe {
		if err := errors.Join(explain.Send(ctx, way), explain.LookAgain(g.live, []*explain.Trace{way})); err != nil {
			return err
		}
	}
	e := explain.Judge(way)
	if e.Broken != 0 {
		g.compare()
		e = explain.Judge(way)
	}
	return c.showExplanation(e)
}

func (c *cli) showExplanation(e document.Explanation) error {
	var err error
	if c.json() {
		err = c.writeJSON(e)
	} else {
		err = screen.WriteExplanation(c.out, c.style(), e)
	}
	if err == nil && e.Broken != 0 {
		err = errNo
	}
	return err
}

// guide knows the node and the sender.
type guide struct {
	explainFlags
	site    *explain.Site
	live    *kernel.Node
	pods    []pods.Pod
	sources []explain.Source
	pod     *pods.Pod // the sender; nil: the node itself
	node    *node
}

// compare finds out what podnet itself finds amiss on the node, once something is broken. Where
// nobody can tell, fixes that rest on it are as they are without.
func (g *guide) compare() {
	if plan, err := g.node.Compare(g.site.Topology); err == nil {
		g.site.Plan = plan
	}
}

func (n *node) guide(f explainFlags) (*guide, error) {
	t := n.Followed()
	if t == nil {
		return nil, fmt.Errorf("no topology yet: %s", n.Decision.OnDisk.Message)
	}
	view, err := n.View(n.ID, t, t)
	if err != nil {
		return nil, err
	}
	if len(view.Node.PodCIDRs) == 0 {
		return nil, fmt.Errorf("%s has no podCIDR yet, so there are no pods and no ways (podnetctl allocate %s)",
			view.Node.Name, view.Node.Name)
	}
	g := &guide{explainFlags: f, live: n.Kernel(), node: n}
	if g.pods, err = pods.List(g.live, t.Network.CNI.Name, t.Network.Bridge.Name); err != nil {
		return nil, err
	}
	if g.site, err = explain.Survey(g.live, view); err != nil {
		return nil, err
	}
	g.site.Daemon = n.daemonNote()
	g.sources, g.pod, err = g.site.Sources(f.from, g.pods)
	return g, err
}

// daemonNote is what there is to say of the daemon where something of its own is broken.
func (n *node) daemonNote() string {
	if !agent.DaemonRuns(n.Paths) {
		return "podnetd does not run: nothing heals this"
	}
	s, err := agent.ReadStatus(n.Paths.Status)
	if err != nil {
		return "podnetd is running and should heal this: look again"
	}
	for _, kind := range []string{document.Contention, document.Degraded} {
		if c := s.Condition(kind); c.Status == "True" {
			return fmt.Sprintf("podnetd is running, but %s: %s", kind, c.Message)
		}
	}
	return "podnetd is running and should heal this: look again"
}

// way is what has to be known of the two ends before the kernel is asked.
func (g *guide) way(to string) (*explain.Trace, error) {
	targets, err := g.site.Targets(to)
	if err != nil {
		return nil, err
	}
	from, target, err := explain.Pair(g.sources, targets)
	if err != nil {
		return nil, err
	}
	f := &explain.Trace{Site: g.site, From: from, To: target}
	if f.From.Pod, err = g.sender(from, target); err != nil {
		return nil, err
	}
	if err := f.Arrive(g.live); err != nil {
		return nil, err
	}
	f.Translate()
	if err := g.host(f); err != nil {
		return nil, err
	}
	return f, g.follows(f)
}

// host finds the pod of this node that the packet is for, if there is one.
func (g *guide) host(f *explain.Trace) error {
	if f.To.Place != explain.Nobody && f.To.Place != explain.Outside {
		return nil
	}
	p, err := explain.FindPod(g.pods, f.To.Addr.String())
	if err != nil {
		return nil // nobody here has it
	}
	f.To.Place, f.To.Node = explain.Here, g.site.Node
	f.To.Pod, err = explain.Visit(g.live, p, kernel.Packet{Src: f.To.Addr, Dst: f.From.Addr})
	return err
}

// follows says what cannot be followed of a packet from outside.
func (g *guide) follows(f *explain.Trace) error {
	switch {
	case !f.From.Outside:
		return nil
	case g.probe:
		return fmt.Errorf("%s is not on this host, which cannot send from there: leave --probe out", f.From.Addr)
	case f.To.Place != explain.Here && f.To.Place != explain.Self:
		return fmt.Errorf("%s and %s are both not on this node: give a pod of this node, or an address of it with a host port", f.From.Addr, f.To.Addr)
	}
	return nil
}

// sender looks at the pod that sends, nil if the node does.
func (g *guide) sender(from explain.Source, to explain.Target) (*explain.PodFacts, error) {
	if g.pod == nil {
		return nil, nil
	}
	return explain.Visit(g.live, *g.pod, kernel.Packet{Src: from.Addr, Dst: to.Addr})
}

// explainAll judges the ways to the gateways of all peers' pods, in every family.
func (c *cli) explainAll(ctx context.Context, g *guide) error {
	ways, err := g.ways()
	if err != nil {
		return err
	}
	if err := explain.Look(g.live, ways); err != nil {
		return err
	}
	if g.probe {
		if err := errors.Join(explain.SendAll(ctx, ways), explain.LookAgain(g.live, ways)); err != nil {
			return err
		}
	}
	if slices.ContainsFunc(ways, func(f *explain.Trace) bool { return explain.Judge(f).Broken != 0 }) {
		g.compare()
	}
	all := document.Explanations{APIVersion: schema.APIVersion, Kind: "Explanation", From: g.sources[0].Addr.String(),
		Peers: []document.Explanation{}}
	broken := map[string]bool{}
	for _, f := range ways {
		e := explain.Judge(f)
		if e.Broken != 0 {
			broken[e.Node] = true
		}
		all.Peers = append(all.Peers, e)
	}
	all.Broken = len(broken)
	if c.json() {
		err = c.writeJSON(all)
	} else {
		err = screen.WriteExplanations(c.out, c.style(), all.Peers)
	}
	if err == nil && all.Broken > 0 {
		err = errNo
	}
	return err
}

func (g *guide) ways() ([]*explain.Trace, error) {
	var ways []*explain.Trace
	senders := map[bool]*explain.PodFacts{}
	for i := range g.site.Topology.Nodes {
		peer := &g.site.Topology.Nodes[i]
		if peer.Name == g.site.Node.Name {
			continue
		}
		for _, t := range g.site.Gateways(peer) {
			from, t, err := explain.Pair(g.sources, []explain.Target{t})
			if err != nil {
				continue // the sender has no address of this family
			}
			four := t.Addr.Is4()
			if senders[four] == nil {
				if senders[four], err = g.sender(from, t); err != nil {
					return nil, err
				}
			}
			from.Pod = senders[four]
			ways = append(ways, &explain.Trace{Site: g.site, From: from, To: t})
		}
	}
	return ways, nil
}
