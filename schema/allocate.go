package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Request says who is to get podCIDRs.
type Request struct {
	Node string     // "": every entry that has none
	IP   netip.Addr // underlay address of a Node without an entry, which then gets one; the zero Addr: it must have one
}

// Allocation is a topology file in which more entries have podCIDRs.
type Allocation struct {
	Text     []byte    // the file; the very bytes given if nobody needed anything
	Topology *Topology // what Text says
	Given    []*Node   // those entries of Topology that have got theirs now
}

// RefusedError says why nothing was allocated, and what to do.
type RefusedError struct{ Message string }

func (e *RefusedError) Error() string { return e.Message }

func refuse(format string, args ...any) error { return &RefusedError{fmt.Sprintf(format, args...)} }

// Allocate hands out the next podCIDRs of clusterCIDRs, in the sizes of nodeCIDRMaskSize, one of
// each family that clusterCIDRs has. An entry that has podCIDRs keeps them as they are. Of the text
// nothing else changes but nodeCount, which is raised if an entry is added. The error is an
// *Invalid or a *RefusedError; then nothing was allocated to anybody.
func Allocate(file string, data []byte, ask Request) (*Allocation, error) {
	d := readDocument(file, data)
	if _, err := d.waiting(data); err != nil && !d.awaitsFirst(ask) {
		return nil, err
	}
	takers, err := d.takers(ask)
	if err != nil {
		return nil, err
	}
	if len(takers) == 0 {
		return &Allocation{Text: data, Topology: d.topology}, nil
	}
	if err := d.give(takers); err != nil {
		return nil, err
	}
	text := slices.Concat(data[:len(data)-len(d.text)], newEditor(d).write(takers))
	return d.outcome(text, takers)
}

// awaitsFirst: all that is wrong with the file is that it has no node yet.
func (d *document) awaitsFirst(ask Request) bool {
	if d.nodes > 0 || d.root == nil || child(d.root, "nodes") == nil || !ask.IP.IsValid() {
		return false
	}
	return !slices.ContainsFunc(d.faults,
		func(f found) bool { return f.Field != "nodes" && f.Field != "metadata.nodeCount" })
}

// waiting is judge, but takes a file whose last entry has no podCIDRs yet, if nothing else is wrong
// with it.
func (d *document) waiting(data []byte) (*Topology, error) {
	t, err := d.judge(data)
	if d.unfinished && len(d.faults) == 1 {
		return d.topology, nil
	}
	return t, err
}

// taker is an entry that gets podCIDRs.
type taker struct {
	Node
	index int        // in nodes
	at    *yaml.Node // nil: it is added
}

func (d *document) takers(ask Request) ([]taker, error) {
	t := d.topology
	entries := child(d.root, "nodes").Content
	var takers []taker
	for i, n := range t.Nodes {
		if (ask.Node == "" || ask.Node == n.Name) && len(n.PodCIDRs) == 0 {
			takers = append(takers, taker{n, i, entries[i]})
		}
	}
	entry := t.Node(ask.Node)
	removed := slices.Index(t.RemovedNodes, ask.Node)
	switch {
	case ask.Node == "" || entry != nil && (entry.IP == ask.IP || !ask.IP.IsValid()):
		return takers, nil
	case entry != nil:
		return nil, refuse("%s:%d: %s has the ip %s, not %s (to move a node, edit its ip there)", t.File, entry.Line,
			ask.Node, entry.IP, ask.IP)
	case removed >= 0:
		return nil, refuse("%s:%d: %s is in removedNodes (if it comes back, take it out of there first)", t.File,
			t.Line(fmt.Sprintf("removedNodes[%d]", removed)), ask.Node)
	case !ask.IP.IsValid():
		return nil, refuse("%s: %s is not in nodes (to add it, give its underlay address: --ip ADDRESS)", t.File, ask.Node)
	}
	return []taker{{Node: Node{Name: ask.Node, IP: ask.IP}, index: len(t.Nodes)}}, nil
}

// give takes the podCIDRs out of the pools.
func (d *document) give(takers []taker) error {
	pools, err := d.pools(takers)
	if err != nil {
		return err
	}
	for i := range takers {
		for _, p := range pools {
			cidr, ok := p.take()
			if !ok {
				return d.exhausted(p, i, len(takers))
			}
			takers[i].PodCIDRs = append(takers[i].PodCIDRs, cidr)
		}
	}
	return nil
}

// pools are one for each family that clusterCIDRs has, IPv4 first.
func (d *document) pools(takers []taker) ([]*pool, error) {
	t := d.topology
	if set := child(child(d.root, "network"), "clusterCIDRs"); set == nil || len(set.Content) == 0 {
		return nil, refuse("%s: network.clusterCIDRs is not set, so there is nothing to allocate from (write the ranges that all podCIDRs "+
			`lie in, such as clusterCIDRs: ["10.244.0.0/16"])`, t.File)
	}
	var pods, ips []netip.Prefix
	for _, n := range t.Nodes {
		pods, ips = append(pods, n.PodCIDRs...), append(ips, netip.PrefixFrom(n.IP, n.IP.BitLen()))
	}
	for _, n := range takers {
		ips = append(ips, netip.PrefixFrom(n.IP, n.IP.BitLen()))
	}
	four := newPool(true, t.Network.NodeCIDRMaskSizeIPv4, t.Network.ClusterCIDRs, pods, ips)
	six := newPool(false, t.Network.NodeCIDRMaskSizeIPv6, t.Network.ClusterCIDRs, pods, ips)
	return slices.DeleteFunc([]*pool{four, six}, func(p *pool) bool { return len(p.ranges) == 0 }), nil
}

func (d *document) exhausted(p *pool, given, wanted int) error {
	const few = 3
	t := d.topology
	said := fmt.Sprintf("%s:%d: %s: nothing was allocated (add a range at the end of clusterCIDRs)", t.File,
		t.Line("network.clusterCIDRs"), p.exhausted(given, wanted))
	if holes := p.holes(few); len(holes) > 0 {
		said += fmt.Sprintf("; free below it: %s (write one into the entry by hand, if no node that had it is still up)",
			strings.Join(holes, ", "))
	}
	return &RefusedError{said}
}

// outcome checks what was written: it must be as valid as before, and say what the file said before
// and what was given, nothing else.
func (d *document) outcome(text []byte, takers []taker) (*Allocation, error) {
	t, err := readDocument(d.topology.File, text).waiting(text)
	if bad, ok := errors.AsType[*Invalid](err); ok && bad.Faults[0].Field != "" {
		return nil, refuse("%s: with it the file would not be valid: %s; nothing was written", d.topology.File,
			bad.Faults[0].sentence())
	}
	if err != nil || !sameBut(d.topology, t, takers) {
		return nil, refuse("%s: this file is laid out in a way that podnet cannot write into; nothing was written (by hand it is: %s)",
			d.topology.File, takers[0].line())
	}
	a := &Allocation{Text: text, Topology: t}
	for _, n := range takers {
		a.Given = append(a.Given, &t.Nodes[n.index])
	}
	return a, nil
}

// sameBut compares two topologies but for what the takers got.
func sameBut(before, after *Topology, takers []taker) bool {
	want := slices.Clone(before.Nodes)
	for _, n := range takers {
		if n.at == nil {
			n.VTEPMAC = DeriveVTEPMAC(before.Name, n.Name)
			want = append(want, n.Node)
		}
		want[n.index].PodCIDRs = n.PodCIDRs
	}
	return before.Name == after.Name && before.Safety == after.Safety &&
		slices.Equal(before.RemovedNodes, after.RemovedNodes) &&
		reflect.DeepEqual(before.Network, after.Network) &&
		slices.EqualFunc(want, after.Nodes, func(a, b Node) bool {
			a.Line, b.Line = 0, 0
			return reflect.DeepEqual(a, b)
		})
}

// line is the entry in one line.
func (n taker) line() string {
	return fmt.Sprintf("{name: %s, ip: %q, podCIDRs: [%s]}", n.Name, n.IP, quoted(n.PodCIDRs, `"`))
}

// child is a field's value in a mapping; nil: it has none, or is nil itself.
func child(n *yaml.Node, name string) *yaml.Node {
	_, value := field(n, name)
	return value
}

// field is a field's name and value in a mapping.
func field(n *yaml.Node, name string) (key, value *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}
