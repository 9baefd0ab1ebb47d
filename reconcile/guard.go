package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Guard is its verdict on a proposed topology.
type Guard struct {
	Passes  bool   `json:"passes"`
	Message string `json:"message"` // the numbers; of a refused topology also the likely cause and the ways on

	Numbers string `json:"-"` // what it disrupts
	Cause   string `json:"-"` // what probably went wrong; "": nothing in particular
	WaysOn  string `json:"-"` // of a refused topology; ends in the command that accepts it
}

// Witness is what the guard has to know of the live node. kernel.Node is the real one.
type Witness interface {
	Pods(bridge string) (int, error)
	Owned(some ...state.Kind) (*state.Live, error)
	// Barrier says what drops packets of the node's pods once podnet's chains are those of nftables,
	// and the command that ends it; "": nothing.
	Barrier(bridge, tunnel string, node *schema.Node) (what, remedy string, err error)
}

// Protect is the guard of one node, whose entry in next is own; nil: of a cluster without a point
// of view. It compares next with the topology in force; without one, with the peers in the kernel.
// witness may be nil: nobody knows of the kernel, and pods count as present. The error says that
// the kernel could not be looked at.
func Protect(witness Witness, own *schema.Node, inForce, next *schema.Topology) (Guard, error) {
	var was past
	switch {
	case inForce != nil:
		was = pastOf(inForce, earlier(inForce, own))
	case witness != nil && own != nil:
		live, err := witness.Owned(state.KindLink, state.KindAddr, state.KindNeigh, state.KindFDB, state.KindRoute,
			state.KindConflist)
		if err != nil {
			return Guard{}, fmt.Errorf("no topology is in force, and the peers in the kernel cannot be looked at: %w", err)
		}
		was = pastInKernel(live, next, own)
	}
	pods := true
	if witness != nil {
		n, err := witness.Pods(was.Bridge)
		pods = err != nil || n > 0
	}
	if firewall := next.Network.Firewall; witness != nil && inForce != nil && own != nil &&
		firewall == schema.FirewallNFTables && inForce.Network.Firewall != firewall {
		what, remedy, err := witness.Barrier(next.Network.Bridge.Name, next.Network.VXLAN.Name, own)
		if err == nil && what != "" { // without iptables, nothing else accepts them now
			was.barrier = fmt.Sprintf("network.firewall changes from %s to %s, and then %s: an accept in podnet's own table"+
				" overrules no other (%s)", inForce.Network.Firewall, firewall, what, remedy)
		}
	}
	return examine(was, next, own, pods), nil
}

// earlier is the node's entry in an earlier topology, under whatever name it had there; nil: it had
// none.
func earlier(t *schema.Topology, own *schema.Node) *schema.Node {
	if own == nil {
		return nil
	}
	if n := t.Node(own.Name); n != nil {
		return n
	}
	for i := range t.Nodes {
		if t.Nodes[i].IP == own.IP {
			return &t.Nodes[i]
		}
	}
	return nil
}

// past is what the guard compares a proposed topology with: what this node has followed until now.
type past struct {
	Name    string         // metadata.name; "": nobody knows
	VXLAN   schema.VXLAN   // VNI 0: nobody knows
	Bridge  string         // "": nobody knows
	CNI     string         // the network's name; "": nobody knows
	Own     *schema.Node   // this node's entry; nil: nobody knows
	Nodes   []string       // every name there was, in the order of the file
	Peers   []*schema.Node // the other entries that have podCIDRs
	Percent int            // of the peers may be disrupted

	barrier string // what another packet filter does once podnet's chain no longer accepts; "": nothing
}

// pastOf is the past under a topology. own is this node's entry in it; nil: every other entry is a
// peer.
func pastOf(t *schema.Topology, own *schema.Node) past {
	p := past{Name: t.Name, VXLAN: t.Network.VXLAN, Bridge: t.Network.Bridge.Name, CNI: t.Network.CNI.Name, Own: own,
		Percent: t.Safety.MaxDisruptedPeersPercent}
	for i := range t.Nodes {
		n := &t.Nodes[i]
		p.Nodes = append(p.Nodes, n.Name)
		if n != own && len(n.PodCIDRs) > 0 {
			p.Peers = append(p.Peers, n)
		}
	}
	return p
}

// examine compares a proposed topology with the past. own is this node's entry in it, nil for a
// cluster without a point of view; pods says that pods of this node are present. The limit is the
// past's: a file cannot raise it for itself.
func examine(was past, next *schema.Topology, own *schema.Node, pods bool) Guard {
	d := was.disruption(next)
	identity := was.identity(next, own, pods)
	limit := (was.Percent*len(was.Peers) + 99) / 100
	if len(identity) == 0 && d.count() <= limit {
		said := fmt.Sprintf("%s (limit %d %%)", d.tally(len(was.Peers)), was.Percent)
		return Guard{Passes: true, Message: said, Numbers: said}
	}
	numbers := identity
	if d.count() > limit {
		numbers = append(numbers, fmt.Sprintf("%s (limit %d)", d.sentence(len(was.Peers)), limit))
	}
	g := Guard{Numbers: strings.Join(numbers, "; "), Cause: guess(was, d, next), WaysOn: d.waysOn(len(identity) > 0)}
	g.Compose()
	return g
}

// Compose puts the parts into one message.
func (g *Guard) Compose() {
	g.Message = g.Numbers
	if g.Cause != "" {
		g.Message += "; " + g.Cause
	}
	g.Message += " (" + g.WaysOn + ")"
}

// For is the verdict on a file that the command on the way on has to name.
func (g Guard) For(file string) Guard {
	if g.WaysOn != "" && file != "" {
		g.WaysOn += " " + file
		g.Compose()
	}
	return g
}

// Blame takes a wrong nodeCount for the cause; while it is wrong, no command accepts the file.
func (g *Guard) Blame(bad *schema.Invalid) {
	f := bad.Faults[0]
	g.Cause = f.Field + " " + f.Message
	g.WaysOn = strings.Replace(g.WaysOn, "or if ", fmt.Sprintf("or, once nodeCount says %d, if ", bad.Nodes), 1)
	g.Compose()
}

// disruption is what a proposed topology does to the peers of the past.
type disruption struct {
	leaving []*schema.Node // and nobody named them in removedNodes
	changed []change
}

// change is a peer whose objects change.
type change struct{ before, now *schema.Node }

func (p past) disruption(next *schema.Topology) disruption {
	now := make(map[string]*schema.Node, len(next.Nodes))
	for i := range next.Nodes {
		now[next.Nodes[i].Name] = &next.Nodes[i]
	}
	named := make(map[string]bool, len(next.RemovedNodes))
	for _, name := range next.RemovedNodes {
		named[name] = true
	}
	var d disruption
	for _, before := range p.Peers {
		switch n := now[before.Name]; {
		case n == nil && !named[before.Name]:
			d.leaving = append(d.leaving, before)
		case n != nil && (n.IP != before.IP || n.VTEPMAC != before.VTEPMAC || !slices.Equal(n.PodCIDRs, before.PodCIDRs)):
			d.changed = append(d.changed, change{before, n})
		}
	}
	return d
}

func (d disruption) count() int { return len(d.leaving) + len(d.changed) }

// tally counts what is within the limit.
func (d disruption) tally(peers int) string {
	switch {
	case peers == 0:
		return "no peers yet, none disrupted"
	case len(d.leaving) == 0 || len(d.changed) > 0:
		return fmt.Sprintf("%d of %s disrupted", d.count(), several(peers, "peer"))
	case len(d.leaving) == 1:
		return fmt.Sprintf("1 of %s leaves unnamed", several(peers, "peer"))
	}
	return fmt.Sprintf("%d of %s leave unnamed", len(d.leaving), several(peers, "peer"))
}

// sentence says what is beyond the limit, and of which peers.
func (d disruption) sentence(peers int) string {
	drops := "drops %d of %s, none named in removedNodes: %s"
	if len(d.leaving) == 1 {
		drops = "drops %d of %s, not named in removedNodes: %s"
	}
	var parts []string
	if len(d.leaving) > 0 {
		parts = append(parts, fmt.Sprintf(drops, len(d.leaving), several(peers, "peer"), extent(d.leaving)))
	}
	if len(d.changed) > 0 {
		var who []*schema.Node
		for _, c := range d.changed {
			who = append(who, c.before)
		}
		first := d.changed[0]
		parts = append(parts, fmt.Sprintf("changes %d of %s: %s; %s: %s", len(d.changed), several(peers, "peer"), extent(who),
			title(first.before), NodeDifference(first.before, first.now)))
	}
	return strings.Join(parts, "; ")
}

func (d disruption) waysOn(identity bool) string {
	const (
		right = "push the right file (nothing else to do), or if "
		allow = "podnetctl apply --allow-disruption"
	)
	if len(d.leaving) > 0 && len(d.changed) == 0 && !identity {
		return right + "they really leave: name them in removedNodes, or  " + allow
	}
	return right + "this is meant, on every node:  " + allow
}

// identity is what no file may change unasked, however few the peers: every node would have to
// follow at the same moment, or pods of this node would lose their network. To them
// network.cni.name is as much as the bridge: it is the directory of their leases, and under another
// one their addresses are free.
func (p past) identity(next *schema.Topology, own *schema.Node, pods bool) []string {
	var changes []string
	add := func(is bool, field string, before, now any, why string) {
		if is {
			changes = append(changes, fmt.Sprintf("%s changes from %v to %v%s", field, before, now, why))
		}
	}
	const everywhere = ", which cuts this node off from every other that has not changed yet"
	vxlan, bridge := next.Network.VXLAN, next.Network.Bridge.Name
	add(p.Name != "" && p.Name != next.Name, "metadata.name", p.Name, next.Name, ", and with it every VTEP MAC")
	add(p.VXLAN.VNI != 0 && p.VXLAN.VNI != vxlan.VNI, "network.vxlan.vni", p.VXLAN.VNI, vxlan.VNI, everywhere)
	add(p.VXLAN.VNI != 0 && p.VXLAN.Port != vxlan.Port, "network.vxlan.port", p.VXLAN.Port, vxlan.Port, everywhere)
	add(pods && p.Bridge != "" && p.Bridge != bridge, "network.bridge.name", p.Bridge, bridge,
		", and pods of this node hang on "+p.Bridge)
	cni := next.Network.CNI.Name
	add(pods && p.CNI != "" && p.CNI != cni, "network.cni.name", p.CNI, cni,
		", and the addresses of this node's pods, which are leased under "+p.CNI+", would be given out again")
	if p.Own != nil && own != nil {
		gone := func(c netip.Prefix) bool { return !slices.Contains(own.PodCIDRs, c) } // one that is added takes no pod's address
		add(pods && slices.ContainsFunc(p.Own.PodCIDRs, gone), "podCIDRs of "+own.Name+", this node,",
			prefixes(p.Own), prefixes(own), ", and it has pods with addresses of the old range")
	}
	if p.barrier != "" {
		changes = append(changes, p.barrier)
	}
	return changes
}

// extent names nodes: each of a few, the first and the last of many.
func extent(nodes []*schema.Node) string {
	const few = 3
	if len(nodes) > few {
		return title(nodes[0]) + " .. " + title(nodes[len(nodes)-1])
	}
	var names []string
	for _, n := range nodes {
		names = append(names, title(n))
	}
	return strings.Join(names, ", ")
}

// title is a node's name, or what there is instead for one that only the kernel knows.
func title(n *schema.Node) string {
	if n.Name == "" {
		return n.IP.String()
	}
	return n.Name
}

func several(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
