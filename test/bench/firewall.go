package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// firewalls compares podnet with itself: a pass with nothing to do with its chains in nftables and in
// iptables, and an apply that keeps all but the peers out of the tunnel and one that does not.
func (b bench) firewalls() {
	b.section(fmt.Sprintf("packet filters, %d peers, IPv4 (other: podnet without)", b.large))
	l := lab.New(b.TB)
	native, iptables := l.Node("nftables"), l.Node("iptables")
	for n, backend := range map[*lab.Node]string{native: "nftables", iptables: "iptables"} {
		n.Write(with(site(n, b.large, ipv4), "firewall: "+backend).String())
		b.apply(n)
	}
	var ours, theirs []time.Duration
	for range 3 * b.rounds {
		ours, theirs = append(ours, b.idlePass(native)), append(theirs, b.idlePass(iptables))
	}
	b.versus("a pass with nothing to do, nftables (other: iptables)", ours, theirs, 1)
	b.drop(native)
	b.drop(iptables)

	var guarded, open []time.Duration
	for round := range b.rounds {
		for onlyPeers, took := range map[bool]*[]time.Duration{true: &guarded, false: &open} {
			n := l.Node(fmt.Sprintf("only-peers-%v-%d", onlyPeers, round))
			*took = append(*took, b.fresh(n, with(site(n, b.large, ipv4), fmt.Sprintf("vxlan: {onlyPeers: %v}", onlyPeers)), round == 0))
		}
	}
	b.versus("podnetctl apply with vxlan.onlyPeers (other: without)", guarded, open, 1.15)
}

// with is the topology with more fields of its network.
func with(t lab.Topology, fields string) lab.Topology {
	t.Extra = []string{strings.TrimSuffix(t.Extra[0], "}") + ", " + fields + "}"}
	return t
}

// idlePass is the second pass of an engine: the first one parses the file.
func (b bench) idlePass(n *lab.Node) (took time.Duration) {
	b.inside(n, func(e engine) error {
		if _, err := e.nothing(); err != nil {
			return err
		}
		var err error
		took, err = e.nothing()
		return err
	})
	return took
}
