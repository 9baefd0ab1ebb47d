package reconcile

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// PeerFate is what a change of the file means for a peer.
type PeerFate uint8

// The fates. A remade peer's entry stays as it was; its objects are made anew because what they
// stand on is.
const (
	PeerAdded PeerFate = iota
	PeerChanged
	PeerRemoved
	PeerRemade
)

// PeerChange is one peer's part of a change of the file.
type PeerChange struct {
	Name   string
	Fate   PeerFate
	Now    *schema.Node // nil: removed
	Before *schema.Node // nil: added
	Steps  []*Step

	place   int // in the list of nodes
	removed int // in removedNodes, from 1; 0: not named there
}

// PeerChanges are the peers that the change of the file concerns, in the order of the file; those
// that leave come last, in the order of the file before. Drift is not among them.
func (p *Plan) PeerChanges() []*PeerChange {
	var all []*PeerChange
	byName := map[string]*PeerChange{}
	for _, s := range p.Steps {
		if s.Cause != CauseChange {
			continue
		}
		entry, _ := p.Peer(s)
		if entry == nil {
			continue
		}
		c := byName[entry.Name]
		if c == nil {
			c = &PeerChange{Name: entry.Name}
			byName[entry.Name], all = c, append(all, c)
		}
		c.Steps = append(c.Steps, s)
	}
	find(byName, p.before(), func(c *PeerChange, n *schema.Node, i int) { c.Before, c.place = n, len(p.Topology.Nodes)+i })
	find(byName, entries(p.Topology), func(c *PeerChange, n *schema.Node, i int) { c.Now, c.place = n, i })
	for i, name := range p.Topology.RemovedNodes {
		if c := byName[name]; c != nil {
			c.removed = i + 1
		}
	}
	for _, c := range all {
		if c.Fate = fate(c.Now, c.Before); c.Fate == PeerRemade && p.InForce == nil {
			c.Fate, c.Before = PeerAdded, nil // a part of it is there, as after an apply that was interrupted
		}
	}
	slices.SortFunc(all, func(a, b *PeerChange) int { return a.place - b.place })
	return all
}

// before are the entries until now, or what the kernel says of peers where no topology was in
// force.
func (p *Plan) before() iter.Seq2[int, *schema.Node] {
	if p.InForce == nil {
		return slices.All(p.kernel.peers)
	}
	return entries(p.InForce)
}

func entries(t *schema.Topology) iter.Seq2[int, *schema.Node] {
	return func(yield func(int, *schema.Node) bool) {
		for i := range t.Nodes {
			if !yield(i, &t.Nodes[i]) {
				return
			}
		}
	}
}

// find hands out the entries of the named peers in one walk: there may be 50,000 of either.
func find(byName map[string]*PeerChange, all iter.Seq2[int, *schema.Node], found func(*PeerChange, *schema.Node, int)) {
	if len(byName) == 0 {
		return
	}
	for i, n := range all {
		if c := byName[n.Name]; c != nil {
			found(c, n, i)
		}
	}
}

func fate(now, before *schema.Node) PeerFate {
	switch {
	case now == nil:
		return PeerRemoved
	case before == nil:
		return PeerAdded
	case NodeDifference(before, now) == "":
		return PeerRemade
	}
	return PeerChanged
}

// NodeDifference says in words what two entries of one node differ in: ip 192.0.2.52 -> 192.0.2.99.
// "": in nothing.
func NodeDifference(before, now *schema.Node) string {
	var parts []string
	add := func(field string, a, b any) { parts = append(parts, fmt.Sprintf("%s %v -> %v", field, a, b)) }
	if before.IP != now.IP {
		add("ip", before.IP, now.IP)
	}
	if before.LocalIP != now.LocalIP {
		shown := func(n *schema.Node) string {
			if n.LocalIP.IsValid() {
				return n.LocalIP.String()
			}
			return "none"
		}
		add("localIP", shown(before), shown(now))
	}
	if !slices.Equal(before.PodCIDRs, now.PodCIDRs) {
		add("podCIDRs", prefixes(before), prefixes(now))
	}
	if before.VTEPMAC != now.VTEPMAC {
		add("VTEP MAC", before.VTEPMAC, now.VTEPMAC)
	}
	return strings.Join(parts, ", ")
}

func prefixes(n *schema.Node) string {
	if len(n.PodCIDRs) == 0 {
		return "none"
	}
	var all []string
	for _, p := range n.PodCIDRs {
		all = append(all, p.String())
	}
	return strings.Join(all, ",")
}

// Summary counts what a plan does.
type Summary struct {
	Peers   PeerCounts   `json:"peers"`
	Objects ObjectCounts `json:"objects"`
}

// PeerCounts counts peers by what a change of the file means for them. One that is only healed or
// remade is unchanged.
type PeerCounts struct {
	Added     int `json:"added"`
	Changed   int `json:"changed"`
	Removed   int `json:"removed"`
	Unchanged int `json:"unchanged"`
}

// ObjectCounts counts steps that are not skipped.
type ObjectCounts struct {
	Create int `json:"create"`
	Update int `json:"update"`
	Delete int `json:"delete"`
}

// Summarize counts what the plan does, with the peers that PeerChanges found.
func (p *Plan) Summarize(peers []*PeerChange) Summary {
	s := Summary{Objects: ObjectCounts{p.Count(state.Create), p.Count(state.Update), p.Count(state.Delete)}}
	for _, c := range peers {
		switch c.Fate {
		case PeerAdded:
			s.Peers.Added++
		case PeerChanged:
			s.Peers.Changed++
		case PeerRemoved:
			s.Peers.Removed++
		}
	}
	s.Peers.Unchanged = max(0, p.Want.FDB.Len()-s.Peers.Added-s.Peers.Changed)
	return s
}

// Sentence says what has become of the peer.
func (c *PeerChange) Sentence() string {
	switch c.Fate {
	case PeerAdded:
		return c.Name + " is new here"
	case PeerChanged:
		return NodeDifference(c.Before, c.Now)
	case PeerRemade:
		return "made anew with the device"
	}
	if c.removed > 0 {
		return "named in removedNodes"
	}
	return "NOT named in removedNodes"
}

// Source is the line that asks for the change: of the peer's entry, or of its name in removedNodes.
// "": no line does.
func (c *PeerChange) Source(p *Plan) string {
	if c.Now != nil {
		return Place(p.Topology, c.Now.Line)
	}
	return Place(p.Topology, p.Topology.Line(fmt.Sprintf("removedNodes[%d]", c.removed-1)))
}

// Place is a line of a topology as FILE:LINE; "" for line 0.
func Place(t *schema.Topology, line int) string {
	if line == 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d", t.File, line)
}
