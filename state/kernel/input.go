package kernel

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// traffic is what podnet's tunnel and pods have to get through every packet filter, by the desired
// set.
type traffic struct {
	bridge, tunnel string
	ipv4, ipv6     bool // families that pods speak
	port           uint16
	local          netip.Addr // the tunnel's end
	underlay       string     // the device on which peers' packets come in, or filter.Unknown
	want           *state.Set
}

// traffic: a tunnel that ends at an address of one link has its packets come in there. An address
// that stands for the host as a whole, on lo or a dummy device or without neighbours, can be
// reached by any.
func (n *Node) traffic(want *state.Set) traffic {
	t := trafficOf(want)
	for _, a := range n.Addrs {
		if p := prefixOf(a.IPNet); t.local.IsValid() && p.Addr() == t.local && !p.IsSingleIP() {
			if l := n.Links[n.Name(a.LinkIndex)]; l != nil && l.Attrs().Flags&net.FlagLoopback == 0 && l.Type() != "dummy" {
				t.underlay = l.Attrs().Name
			}
		}
	}
	return t
}

func trafficOf(want *state.Set) traffic {
	t := traffic{want: want, underlay: verdict.Unknown}
	for _, l := range want.Links.Rows() {
		if l.Type == "vxlan" {
			t.tunnel, t.port, t.local = l.Device, l.Port, l.Local
		} else {
			t.bridge = l.Device
		}
	}
	for _, a := range want.Addrs.Rows() {
		t.ipv4 = t.ipv4 || a.Prefix.Addr().Is4()
		t.ipv6 = t.ipv6 || a.Prefix.Addr().Is6()
	}
	return t
}

// peers are the underlay addresses of so many of them.
func (t traffic) peers(most int) []netip.Addr {
	var all []netip.Addr
	for _, f := range t.want.FDB.Rows()[:min(most, t.want.FDB.Len())] {
		all = append(all, f.Dst)
	}
	return all
}

// sample bounds what a firewall's rules are tried with: enough to see what they are about.
const sample = 16

// fromPeer is a tunnel's packet of some other node; fromStranger one of somebody else.
func (t traffic) fromPeer() verdict.Packet {
	return verdict.Packet{In: t.underlay, Protocol: "udp", Port: t.port, IPv6: t.local.Is6(), Sources: t.peers(sample)}
}

func (t traffic) fromUntrusted() verdict.Packet {
	return verdict.Packet{Dst: t.local, In: verdict.Unknown, Protocol: "udp", Port: t.port, IPv6: t.local.Is6(), Untrusted: true}
}

// forwarded is what pods of this node and of others send each other, by the devices that it passes.
func forwarded(in, out string, ipv6 bool) verdict.Packet {
	return verdict.Packet{In: in, Out: out, Protocol: "udp", IPv6: ipv6}
}

// fewRanges is as many source ranges as a rule to be pasted may have.
const fewRanges = 64

// sources are the underlay addresses of all peers as ranges: exactly them, or the least range with
// all of them if that would be too long for a command. None: there are no peers.
func (t traffic) sources() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range t.peers(t.want.FDB.Len()) {
		all = append(all, netip.PrefixFrom(a, a.BitLen()))
	}
	if exact := schema.Aggregate(all); len(exact) <= fewRanges {
		return exact
	}
	var around netip.Prefix
	for _, p := range all {
		around = join(around, p)
	}
	return []netip.Prefix{around}
}

func joinPrefixes(all []netip.Prefix, separator string) string {
	var texts []string
	for _, p := range all {
		if p.IsSingleIP() {
			texts = append(texts, p.Addr().String())
			continue
		}
		texts = append(texts, p.String())
	}
	return strings.Join(texts, separator)
}

// letIn is the command that lets the tunnel's packets of the nodes in, ahead of everything else.
func (t traffic) letIn() string {
	program, from := "iptables", ""
	if t.local.Is6() {
		program = "ip6tables"
	}
	if nodes := t.sources(); len(nodes) > 0 {
		from = " -s " + joinPrefixes(nodes, ",")
	}
	return fmt.Sprintf("%s -I INPUT%s -p udp --dport %d -j ACCEPT", program, from, t.port)
}

// closedInput says that the INPUT chain surely keeps the tunnel's packets out. A chain that may let
// them in gets the benefit of the doubt.
func closedInput(family uint8, rules *verdict.Rules, t traffic) []state.Conflict {
	if t.port == 0 || t.local.Is6() != (family == 6) {
		return nil
	}
	v := rules.Walk(verdict.Input, t.fromPeer())
	if !v.Surely() {
		return nil
	}
	return []state.Conflict{{
		Key:    state.Key{Kind: state.KindChain, Name: "INPUT", Num: uint32(family)},
		Owner:  fmt.Sprintf("lets no UDP to port %d in (%s): no node reaches this one's pods", t.port, v.Where),
		Remedy: t.letIn(),
	}}
}

// foreignFilters are the base chains of nftables that surely drop what podnet's own chains accept.
func foreignFilters(bases []baseChain, t traffic) []state.Conflict {
	var out []state.Conflict
	for i := range bases {
		b := &bases[i]
		if what := t.dropped(b); what != "" {
			out = append(out, state.Conflict{
				Key: state.Key{Kind: state.KindChain, Name: b.String()}, Owner: "of nftables, drops " + what, Remedy: t.pass(b),
			})
		}
	}
	return out
}

// dropped says what a base chain surely drops; "": nothing.
func (t traffic) dropped(b *baseChain) string {
	if b.input {
		if p := t.fromPeer(); t.port != 0 && b.sees(p.IPv6) && b.judge(p).Surely() {
			return fmt.Sprintf("UDP to port %d: no node reaches this one's pods", t.port)
		}
		return ""
	}
	for _, ipv6 := range []bool{false, true} {
		if ipv6 && !t.ipv6 || !ipv6 && !t.ipv4 || !b.sees(ipv6) {
			continue
		}
		if b.judge(forwarded(t.bridge, t.tunnel, ipv6)).Surely() {
			return "what pods send to other nodes"
		}
		if b.judge(forwarded(t.tunnel, t.bridge, ipv6)).Surely() {
			return "what other nodes' pods send to these"
		}
	}
	return ""
}

// pass is the command that has a base chain let podnet's packets through.
func (t traffic) pass(b *baseChain) string {
	insert := "nft insert rule " + b.String()
	nodes := t.sources()
	switch firewalld := b.table == "firewalld"; {
	case !b.input && firewalld:
		return fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-interface=%s --add-interface=%s && firewall-cmd --reload", t.bridge, t.tunnel)
	case !b.input:
		return fmt.Sprintf("%s iifname %s accept && %s oifname %s accept", insert, t.bridge, insert, t.bridge)
	case firewalld:
		return fmt.Sprintf("firewall-cmd --permanent --add-port=%d/udp && firewall-cmd --reload", t.port)
	case len(nodes) == 0:
		return fmt.Sprintf("%s udp dport %d accept", insert, t.port)
	}
	word := "ip"
	if t.local.Is6() {
		word = "ip6"
	}
	return fmt.Sprintf("%s %s saddr '{ %s }' udp dport %d accept", insert, word, joinPrefixes(nodes, ", "), t.port)
}
