package firewall

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// Rules are tried with packets: between pods of this node and of others, and between pods and the
// rest of the world. Where a rule names addresses of pods, those are tried too, so many of them; so
// many rules are reported for each chain.
const (
	mostTried    = 256
	mostReported = 4
)

// tried is a packet that podnet has a wish for, and the verdict that breaks it.
type tried struct {
	packet verdict.Packet
	wrong  string // drop, nat, accept: what a rule must not do
	behind bool   // not behind podnet's jump either
	does   string // what the rule does, for the operator
}

// inTheWay are the rules by which packets do not get what podnet's chains have for them. A chain
// whose jump is missing has none in its way: the jump will be put first.
func inTheWay(chains []state.Chain, rules *verdict.Rules, t Traffic) []state.Conflict {
	var out []state.Conflict
	for _, c := range chains {
		if _, _, wanted := t.Want.Chains.Find(c.Key()); wanted && c.Jumps > 0 {
			out = append(out, ahead(c, rules, t)...)
		}
	}
	return out
}

func ahead(c state.Chain, rules *verdict.Rules, t Traffic) []state.Conflict {
	var out []state.Conflict
	report := func(e verdict.End, does string) {
		made := behind(c, e, does)
		known := func(o state.Conflict) bool { return o.Remedy == made.Remedy }
		if len(out) < mostReported && !slices.ContainsFunc(out, known) {
			out = append(out, made)
		}
	}
	if e, is := rules.Barrier(c.Table, c.Hook, c.Chain); is {
		report(e, "")
	}
	for _, try := range t.trials(c, rules) {
		jump := c.Chain
		if try.behind {
			jump = ""
		}
		e, is := rules.Ahead(c.Table, c.Hook, jump, try.packet)
		if is && e.Verdict == try.wrong && !strings.HasPrefix(e.Chain, state.ChainPrefix) {
			report(e, try.does)
		}
	}
	return out
}

// behind: the jump is put first when it is absent, and never moved afterwards. A rule of another
// chain than the built-in one may serve others as well, so that the operator had rather move the
// jump, if that helps.
func behind(c state.Chain, e verdict.End, does string) state.Conflict {
	whose := "not podnet's"
	if owner := chainOwner(e.Chain); owner != "" {
		whose = owner + "'s"
	}
	rule := fmt.Sprintf("rule %d of %s (%s)", e.Number, e.Chain, whose)
	made := state.Conflict{Key: c.Key(), Owner: "its jump is behind " + rule, Remedy: e.Remedy}
	switch {
	case does == "":
	case e.Verdict == "nat":
		made.Owner = rule + " " + does
		return made
	default:
		made.Owner += ", which " + does
	}
	if e.Chain != c.Hook {
		program := command(c.Family, "iptables") + " -t " + c.Table
		made.Remedy = fmt.Sprintf("%s -D %s -j %s && %s -I %s -j %s", program, c.Hook, c.Chain, program, c.Hook, c.Chain)
	}
	return made
}

// chainOwner names the program whose chains begin so; "": nobody knows.
func chainOwner(chain string) string {
	for _, known := range [][2]string{
		{"DOCKER", "Docker"}, {"ufw", "ufw"}, {"LIBVIRT_", "libvirt"}, {"KUBE-", "Kubernetes"}, {"FLANNEL-", "flannel"},
		{"FORWARD_", "firewalld"}, {"POSTROUTING_", "firewalld"}, {"FWD", "firewalld"}, {"POST_", "firewalld"},
		{"NETAVARK", "podman"}, {"CNI-", "a CNI plugin"}, {"cali-", "Calico"}, {"CILIUM_", "Cilium"}, {"f2b-", "fail2ban"},
	} {
		if strings.HasPrefix(chain, known[0]) {
			return known[1]
		}
	}
	return ""
}

// trials are the packets for one of podnet's chains, those that say most first.
func (t Traffic) trials(c state.Chain, rules *verdict.Rules) []tried {
	own, found := t.ownRange(c.Family)
	if !found {
		return nil
	}
	try := t.forwards
	if c.Table == "nat" {
		try = t.translations
	}
	var out []tried
	pod := podOf(own)
	pods, peers := t.named(c, rules, own)
	for _, peer := range peers {
		out = append(out, try(pod, peer)...)
	}
	for _, other := range pods {
		for _, peer := range peers[:min(len(peers), 1)] {
			out = append(out, try(other, peer)...)
		}
	}
	return append(out, t.world(c, rules, pod)...)
}

// ownRange is this node's podCIDR of a family.
func (t Traffic) ownRange(family uint8) (netip.Prefix, bool) {
	for _, a := range t.Want.Addrs.Rows() {
		if a.Device == t.Bridge && a.Prefix.Addr().Is4() == (family == 4) {
			return a.Prefix.Masked(), true
		}
	}
	return netip.Prefix{}, false
}

// podOf is an address of a range as pods get them: the first is the bridge's.
func podOf(p netip.Prefix) netip.Addr { return p.Addr().Next().Next() }

// named are pods of other nodes, one in any case, and of this one: those that the rules name on the
// way to the chain.
func (t Traffic) named(c state.Chain, rules *verdict.Rules, own netip.Prefix) (pods, peers []netip.Addr) {
	routes := state.NewOverlaps(t.Want)
	if p, found := t.peerIn(netip.PrefixFrom(own.Addr(), 0).Masked()); found {
		peers = append(peers, podOf(p))
	}
	jump := c.Chain
	if c.Table == "nat" { // podnet's chain leaves packets between pods to the rules behind it
		jump = ""
	}
	seen := map[netip.Prefix]bool{}
	for p := range rules.Mentions(c.Table, c.Hook, jump) {
		if len(pods)+len(peers) >= mostTried {
			break
		}
		if seen[p] {
			continue
		}
		seen[p] = true
		if p.Overlaps(own) && p.Bits() > own.Bits() {
			pods = append(pods, within(p))
		}
		if _, inside := routes.Holder(p); inside {
			peers = append(peers, within(p))
		} else if slices.ContainsFunc(routes.Bits, func(bits uint8) bool { return p.Bits() < int(bits) }) {
			if route, found := t.peerIn(p); found {
				peers = append(peers, podOf(route))
			}
		}
	}
	return pods, peers
}

// within is an address of a rule's prefix that is a pod's, if any of its addresses is.
func within(p netip.Prefix) netip.Addr {
	if a := podOf(p.Masked()); p.Contains(a) {
		return a
	}
	return p.Addr()
}

// peerIn is another node's podCIDR inside a prefix.
func (t Traffic) peerIn(p netip.Prefix) (netip.Prefix, bool) {
	for _, r := range t.Want.Routes.Rows() {
		if p.Bits() <= r.Dst.Bits() && p.Contains(r.Dst.Addr()) {
			return r.Dst, true
		}
	}
	return netip.Prefix{}, false
}

// protocols: a rule can be about one of them.
func protocols() []string { return []string{"tcp", "udp"} }

// forwards are what a pod of this node and one of another send each other.
func (t Traffic) forwards(pod, peer netip.Addr) []tried {
	var out []tried
	for _, protocol := range protocols() {
		out = append(out,
			tried{verdict.Packet{Src: pod, Dst: peer, In: t.Bridge, Out: t.Tunnel, Protocol: protocol}, "drop", false,
				"drops what pods send to other nodes"},
			tried{verdict.Packet{Src: peer, Dst: pod, In: t.Tunnel, Out: t.Bridge, Protocol: protocol}, "drop", false,
				"drops what other nodes' pods send to these"})
	}
	return out
}

// translations are the same packets where addresses are rewritten: the tunnel carries them as they
// are.
func (t Traffic) translations(pod, peer netip.Addr) []tried {
	var out []tried
	for _, protocol := range protocols() {
		out = append(out,
			tried{verdict.Packet{Src: pod, Dst: peer, Out: t.Tunnel, Protocol: protocol}, "nat", true,
				"rewrites the source of what pods send to other nodes"},
			tried{verdict.Packet{Src: peer, Dst: pod, Out: t.Bridge, Protocol: protocol}, "nat", true,
				"rewrites the source of what other nodes' pods send to these"})
	}
	return out
}

// world is what a pod sends out of the cluster, and what answers.
func (t Traffic) world(c state.Chain, rules *verdict.Rules, pod netip.Addr) []tried {
	var out []tried
	for _, protocol := range protocols() {
		leaving := verdict.Packet{Src: pod, Abroad: true, IPv6: pod.Is6(), In: t.Bridge, Out: t.Underlay, Protocol: protocol}
		if c.Table == "nat" {
			leaving.In = ""
			if rules.Translates(c.Table, c.Chain, leaving) {
				out = append(out,
					tried{leaving, "accept", false, "lets what pods send out of the cluster leave with pods' addresses"})
			}
			continue
		}
		answer := verdict.Packet{Untrusted: true, Dst: pod, In: t.Underlay, Out: t.Bridge, Protocol: protocol,
			Established: true}
		out = append(out,
			tried{leaving, "drop", false, "drops what pods send out of the cluster"},
			tried{answer, "drop", false, "drops the answers that pods get from outside of the cluster"})
	}
	return out
}
