package portmap

import (
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// Names in nftables are the reference plugin's, so that either plugin removes what the other has made. The table is there in both
// families as long as a mapping is.
const (
	table       = "cni_hostport"
	allChain    = "hostports_all"
	portsChain  = "hostports"
	formerChain = "hostip_hostports" // of older versions of the reference plugin
	snatChain   = "masquerading"
)

// podChains are those whose rules are pods'. A rule's comment is the container that it is for.
var podChains = []string{portsChain, formerChain, snatChain}

// skeleton are the rules that all pods share; [F] is the family. Only the first packet of a connection to an address of the host
// comes to the pods' rules. Rules that the reference plugin has put in front of the jumps, as conditions, go where jumps are missing.
const skeleton = `add table [F] cni_hostport
add chain [F] cni_hostport hostports
add chain [F] cni_hostport hostip_hostports
add chain [F] cni_hostport hostports_all
add chain [F] cni_hostport prerouting { type nat hook prerouting priority -100; }
add chain [F] cni_hostport output { type nat hook output priority -100; }
add chain [F] cni_hostport masquerading { type nat hook postrouting priority 100; }
flush chain [F] cni_hostport hostports_all
flush chain [F] cni_hostport prerouting
flush chain [F] cni_hostport output
add rule [F] cni_hostport hostports_all jump hostip_hostports
add rule [F] cni_hostport hostports_all jump hostports
add rule [F] cni_hostport prerouting fib daddr type local jump hostports_all
add rule [F] cni_hostport output fib daddr type local jump hostports_all
`

// jumps are those of the skeleton, by chain.
var jumps = []struct{ from, to string }{{"prerouting", allChain}, {"output", allChain}, {allChain, formerChain}, {allChain, portsChain}}

func skeletonFor(f firewall.Family) string { return strings.ReplaceAll(skeleton, "[F]", nftFamily(f)) }

func nftFamily(f firewall.Family) string {
	if f == firewall.IPv6 {
		return "ip6"
	}
	return "ip"
}

// lacks names the first part of the skeleton that is not in force, and whatever keeps packets from pods' rules; empty if all is well.
func (n *nftables) lacks(f firewall.Family, rules []firewall.Rule) (string, error) {
	for _, j := range jumps {
		if !slices.ContainsFunc(rules, func(r firewall.Rule) bool { return r.Chain == j.from && r.Jump == j.to }) {
			return "the jump from chain " + j.from + " to " + j.to, nil
		}
	}
	for _, r := range rules {
		if r.Comment == "" && slices.Contains(podChains, r.Chain) {
			return "chain " + r.Chain, nil
		}
	}
	there, err := n.conn.HasChain(firewall.Chain{Family: f, Table: table, Name: snatChain})
	if err != nil || there {
		return "", err
	}
	return "chain " + snatChain, nil
}
