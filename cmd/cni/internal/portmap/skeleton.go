package portmap

import (
	"slices"

	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// Names in nftables are the reference plugin's, so that either plugin removes what the other has
// made. The table is there in both families as long as a mapping is.
const (
	table       = "cni_hostport"
	allChain    = "hostports_all"
	portsChain  = "hostports"
	formerChain = "hostip_hostports" // made by older versions of the reference plugin
	snatChain   = "masquerading"
)

// podChains are those whose rules are pods'. A rule's comment is the container that it is for.
var podChains = []string{portsChain, formerChain, snatChain}

// jumps are those of the skeleton, by chain.
var jumps = []struct{ from, to string }{
	{"prerouting", allChain},
	{"output", allChain},
	{allChain, formerChain},
	{allChain, portsChain},
}

// skeleton makes what all pods share. Only the first packet of a connection to an address of the
// host comes to the pods' rules.
func skeleton(b *netfilter.Batch, f netlink.Family) {
	chain := func(name string) netfilter.Chain {
		return netfilter.Chain{Family: f, Table: table, Name: name}
	}
	b.AddTable(f, table)
	for _, name := range []string{portsChain, formerChain} {
		b.KeepChain(chain(name))
	}
	b.AddChain(chain(allChain))
	b.AddBaseChain(chain("prerouting"), netfilter.DNAT)
	b.AddBaseChain(chain("output"), netfilter.OutputNAT)
	b.KeepBaseChain(chain(snatChain), netfilter.SNAT)
	for _, j := range jumps {
		x := new(netfilter.Expressions)
		if j.to == allChain {
			x.Local()
		}
		b.AddRule(chain(j.from), x.JumpTo(j.to), "", "")
	}
}

func nftFamily(f netlink.Family) string {
	if f == netlink.IPv6 {
		return "ip6"
	}
	return "ip"
}

// lacks names the first part of the skeleton that is not in force, and whatever keeps packets from
// pods' rules; empty if all is well.
func (n *nftables) lacks(f netlink.Family, rules []netfilter.Rule) (string, error) {
	for _, j := range jumps {
		leads := func(r netfilter.Rule) bool { return r.Chain == j.from && r.Jump == j.to }
		if !slices.ContainsFunc(rules, leads) {
			return "the jump from chain " + j.from + " to " + j.to, nil
		}
	}
	for _, r := range rules {
		if r.Comment == "" && slices.Contains(podChains, r.Chain) {
			return "chain " + r.Chain, nil
		}
	}
	there, err := n.conn.HasChain(netfilter.Chain{Family: f, Table: table, Name: snatChain})
	if err != nil || there {
		return "", err
	}
	return "chain " + snatChain, nil
}
