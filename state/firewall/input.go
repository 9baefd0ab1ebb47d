package firewall

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// Traffic is what podnet's tunnel and pods have to get through every packet filter.
type Traffic struct {
	Want           *state.Set // what it follows from
	Bridge, Tunnel string     // devices; "": none
	IPv4, IPv6     bool       // families that pods speak
	Port           uint16     // the tunnel's UDP port; 0: there is no tunnel
	Local          netip.Addr // the tunnel's end
	Underlay       string     // the device on which peers' packets come in, or verdict.Unknown
	NFT            bool       // podnet's own chains are those of nftables
}

// TrafficOf returns the traffic of a desired set, with an unknown underlay.
func TrafficOf(want *state.Set) Traffic {
	t := Traffic{Want: want, Underlay: verdict.Unknown}
	for _, l := range want.Links.Rows() {
		if l.Type == "vxlan" {
			t.Tunnel, t.Port, t.Local = l.Device, l.Port, l.Local
		} else {
			t.Bridge = l.Device
		}
	}
	t.NFT = t.Bridge != "" && !wantsChains(want, 4) && !wantsChains(want, 6)
	for _, a := range want.Addrs.Rows() {
		t.IPv4 = t.IPv4 || a.Prefix.Addr().Is4()
		t.IPv6 = t.IPv6 || a.Prefix.Addr().Is6()
	}
	return t
}

// Peers are the underlay addresses of so many of them: those that they send from, as far as the
// tunnel keeps account of them.
func (t Traffic) Peers(most int) []netip.Addr {
	var all []netip.Addr
	for _, s := range t.Want.TunnelSources.Rows()[:min(most, t.Want.TunnelSources.Len())] {
		all = append(all, s.Addr)
	}
	if len(all) > 0 {
		return all
	}
	for _, f := range t.Want.FDB.Rows()[:min(most, t.Want.FDB.Len())] {
		all = append(all, f.Dst)
	}
	return all
}

// sample bounds what a firewall's rules are tried with: enough to see what they are about.
const sample = 16

// fromPeer is a tunnel's packet of some other node.
func (t Traffic) fromPeer() verdict.Packet {
	return verdict.Packet{In: t.Underlay, Protocol: "udp", Port: t.Port, IPv6: t.Local.Is6(), Sources: t.Peers(sample)}
}

// fromUntrusted is a packet to the tunnel's port of anybody else.
func (t Traffic) fromUntrusted() verdict.Packet {
	return verdict.Packet{Dst: t.Local, In: verdict.Unknown, Protocol: "udp", Port: t.Port, IPv6: t.Local.Is6(),
		Untrusted: true}
}

// forwarded is what pods of this node and of others send each other, by the devices that it passes.
func forwarded(in, out string, ipv6 bool) verdict.Packet {
	return verdict.Packet{In: in, Out: out, Protocol: "udp", IPv6: ipv6}
}

// leaving is what a pod sends out of the cluster.
func (t Traffic) leaving(ipv6 bool) verdict.Packet {
	return verdict.Packet{Abroad: true, IPv6: ipv6, In: t.Bridge, Out: t.Underlay, Protocol: "udp"}
}

// fewRanges is as many source ranges as a rule to be pasted may have.
const fewRanges = 64

// Sources are the underlay addresses of all peers as ranges: exactly them, or the least range with
// all of them if that would be too long for a command. None: there are no peers.
func (t Traffic) Sources() []netip.Prefix {
	var all []netip.Prefix
	for _, a := range t.Peers(math.MaxInt) {
		all = append(all, netip.PrefixFrom(a, a.BitLen()))
	}
	if exact := schema.Aggregate(all); len(exact) <= fewRanges {
		return exact
	}
	var around netip.Prefix
	for _, p := range all {
		around = schema.Around(around, p)
	}
	return []netip.Prefix{around}
}

func joinPrefixes(all []netip.Prefix, separator string) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, state.NFTPrefix(p))
	}
	return strings.Join(texts, separator)
}

// letIn is the command that lets the tunnel's packets of the nodes in, ahead of everything else.
func (t Traffic) letIn() string {
	program, from := "iptables", ""
	if t.Local.Is6() {
		program = "ip6tables"
	}
	if nodes := t.Sources(); len(nodes) > 0 {
		from = " -s " + joinPrefixes(nodes, ",")
	}
	return fmt.Sprintf("%s -I INPUT%s -p udp --dport %d -j ACCEPT", program, from, t.Port)
}

// closedInput says that the INPUT chain surely keeps the tunnel's packets out. A chain that may let
// them in gets the benefit of the doubt.
func closedInput(family uint8, rules *verdict.Rules, t Traffic) []state.Conflict {
	if t.Port == 0 || t.Local.Is6() != (family == 6) {
		return nil
	}
	v := rules.Walk(verdict.Input, t.fromPeer())
	if !v.Surely() {
		return nil
	}
	return []state.Conflict{{
		Key:    state.Key{Kind: state.KindChain, Name: "INPUT", Num: uint32(family)},
		Owner:  fmt.Sprintf("lets no UDP to port %d in (%s): no node reaches this one's pods", t.Port, v.Where),
		Remedy: t.letIn(),
	}}
}

// foreignFilters are the base chains of nftables that surely drop what podnet's own chains accept.
func foreignFilters(bases []baseChain, t Traffic) []state.Conflict {
	var out []state.Conflict
	for i := range bases {
		b := &bases[i]
		if what := t.dropped(b); what != "" {
			out = append(out, state.Conflict{
				Key: state.Key{Kind: state.KindChain, Name: b.String()}, Owner: "of " + b.program() + ", drops " + what,
				Remedy: t.pass(b), Counts: t.NFT && !b.input,
			})
		}
	}
	return out
}

// dropped says what a base chain surely drops; "": nothing.
func (t Traffic) dropped(b *baseChain) string {
	if b.input {
		if p := t.fromPeer(); t.Port != 0 && b.sees(p.IPv6) && b.judge(p).Surely() {
			return fmt.Sprintf("UDP to port %d: no node reaches this one's pods", t.Port)
		}
		return ""
	}
	for _, ipv6 := range []bool{false, true} {
		if ipv6 && !t.IPv6 || !ipv6 && !t.IPv4 || !b.sees(ipv6) {
			continue
		}
		if b.judge(forwarded(t.Bridge, t.Tunnel, ipv6)).Surely() {
			return "what pods send to other nodes"
		}
		if b.judge(forwarded(t.Tunnel, t.Bridge, ipv6)).Surely() {
			return "what other nodes' pods send to these"
		}
		if p := t.leaving(ipv6); t.NFT && b.judge(p).Surely() {
			return "what pods send out of the cluster"
		}
	}
	return ""
}

// pass is the command that has a base chain let podnet's packets through.
func (t Traffic) pass(b *baseChain) string {
	insert := "nft insert rule " + b.String()
	nodes := t.Sources()
	if b.program() == "iptables" && HasIPTables() {
		if b.input {
			return t.letIn()
		}
		return t.letThrough(b.version())
	}
	switch firewalld := b.table == "firewalld"; {
	case !b.input && firewalld:
		return fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-interface=%s --add-interface=%s && firewall-cmd --reload", t.Bridge, t.Tunnel)
	case !b.input:
		return fmt.Sprintf("%s iifname %s accept && %s oifname %s accept", insert, t.Bridge, insert, t.Bridge)
	case firewalld:
		return fmt.Sprintf("firewall-cmd --permanent --add-port=%d/udp && firewall-cmd --reload", t.Port)
	case len(nodes) == 0:
		return fmt.Sprintf("%s udp dport %d accept", insert, t.Port)
	}
	word := "ip"
	if t.Local.Is6() {
		word = "ip6"
	}
	return fmt.Sprintf("%s %s saddr '{ %s }' udp dport %d accept", insert, word, joinPrefixes(nodes, ", "), t.Port)
}
