package screen

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// fewPeers are listed one by one with their objects; with more of one fate, all are grouped.
const fewPeers = 5

// peerGroups are the peers of a change by fate, in the order in which they are shown.
type peerGroups struct {
	groups  [4][]*reconcile.PeerChange
	grouped bool
	name    int // column widths
	ip      int
	cidr    int
}

func groupPeers(peers []*reconcile.PeerChange, full bool) *peerGroups {
	g := &peerGroups{}
	for _, c := range peers {
		g.groups[c.Fate] = append(g.groups[c.Fate], c)
		g.name = max(g.name, len(c.Name))
		g.ip = max(g.ip, len(entry(c).IP.String()))
		if n := entry(c); len(n.PodCIDRs) > 1 {
			g.cidr = max(g.cidr, len(n.PodCIDRs[0].String()))
		}
	}
	for _, group := range g.groups {
		g.grouped = g.grouped || !full && len(group) > fewPeers
	}
	return g
}

// entry is what the file says of a peer, or said.
func entry(c *reconcile.PeerChange) *schema.Node {
	if c.Now != nil {
		return c.Now
	}
	return c.Before
}

func fateMark(f reconcile.PeerFate) byte { return "+~-~"[f] }

func (v *planView) showPeers(g *peerGroups) {
	for fate, group := range g.groups {
		if g.grouped && len(group) > 0 {
			v.group(g, reconcile.PeerFate(fate), group)
			continue
		}
		for _, c := range group {
			v.peer(g, c)
		}
	}
}

// peer is one peer with its objects.
func (v *planView) peer(g *peerGroups, c *reconcile.PeerChange) {
	mark := fateMark(c.Fate)
	v.page.line(c.Source(v.Plan), span{string(mark), markHue(mark)},
		text(" peer %-*s  %s", g.name, c.Name, v.facts(c, 0, 0)))
	v.page.objects(nested, collapse(c.Steps, stepObject, true))
}

// facts are what matters of a peer, by what becomes of it.
func (v *planView) facts(c *reconcile.PeerChange, ip, cidr int) string {
	switch c.Fate {
	case reconcile.PeerAdded:
		return fmt.Sprintf("%-*s  %s", ip, c.Now.IP, podCIDRs(c.Now, cidr))
	case reconcile.PeerRemoved:
		return fmt.Sprintf("%-*s  %s", ip, entry(c).IP, c.Sentence())
	}
	return c.Sentence()
}

// group is all peers of one fate.
func (v *planView) group(g *peerGroups, fate reconcile.PeerFate, peers []*reconcile.PeerChange) {
	mark := fateMark(fate)
	title := ""
	if fate == reconcile.PeerRemade {
		title = " made anew with the device"
	}
	v.page.line("", span{string(mark), markHue(mark)}, text(" %s%s, %s", plural(len(peers), "peer"), title, tally(peers)))
	shown := peers
	if len(peers) > fewPeers {
		shown = peers[:2]
	}
	for _, c := range shown {
		v.member(g, c)
	}
	if len(peers) > fewPeers {
		v.page.line("", text("    %s", more(len(peers)-3)))
		v.member(g, peers[len(peers)-1])
	}
}

func (v *planView) member(g *peerGroups, c *reconcile.PeerChange) {
	v.page.line(c.Source(v.Plan), text("    %-*s  %s", g.name, c.Name, v.facts(c, g.ip, g.cidr)))
}

// tally counts the objects of peers by kind, in the order of kinds.
func tally(peers []*reconcile.PeerChange) string {
	counts, total := [state.KindCount]int{}, 0
	for _, c := range peers {
		for _, s := range c.Steps {
			counts[s.Kind]++
			total++
		}
	}
	var parts []string
	for k, n := range counts {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", state.Kind(k), n))
		}
	}
	return fmt.Sprintf("%s: %s", plural(total, "object"), strings.Join(parts, ", "))
}

// podCIDRs are a node's; width is that of the first, where there are two in a table.
func podCIDRs(n *schema.Node, width int) string {
	if len(n.PodCIDRs) == 0 {
		return "no podCIDR"
	}
	var all []string
	for _, p := range n.PodCIDRs {
		all = append(all, p.String())
	}
	if len(all) > 1 {
		all[0] = fmt.Sprintf("%-*s", width, all[0])
	}
	return strings.Join(all, "  ")
}
