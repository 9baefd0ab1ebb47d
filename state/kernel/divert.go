package kernel

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// candidate is a packet that podnet's network has to carry, and where it has to go.
type candidate struct {
	Packet
	to    netip.Prefix // the range that it is for
	outer bool         // it is the tunnel's own; else a pod's, or the host's to a pod
}

// maxCandidates bounds how many packets a look at policy rules asks the kernel about, and maxPeers
// how many peers stand for all of those that a short prefix holds.
const (
	maxCandidates = 512
	maxPeers      = 16
)

// diverted finds the policy rules that take podnet's packets away before table main is looked into.
// The rules and what is in their tables only say which packets are worth a question; the kernel
// answers it.
func (l *lookup) diverted(ipv6 bool) ([]state.Conflict, error) {
	candidates, err := l.candidates(ipv6)
	if err != nil || len(candidates) == 0 {
		return nil, err
	}
	packets := make([]Packet, len(candidates))
	for i, t := range candidates {
		packets[i] = t.Packet
	}
	routings, err := l.node.routings(packets)
	if err != nil {
		return nil, err
	}
	var out []state.Conflict
	by := map[state.PolicyRule][]int{}
	var order []state.PolicyRule
	for i, r := range routings {
		if !l.astray(candidates[i], r) {
			continue
		}
		if by[r.Rule] == nil {
			order = append(order, r.Rule)
		}
		by[r.Rule] = append(by[r.Rule], i)
	}
	for _, rule := range order {
		out = append(out, l.diversion(rule, by[rule], candidates, routings))
	}
	return out, nil
}

// astray says that a rule of somebody else's has the packet go elsewhere.
func (l *lookup) astray(t candidate, r Routing) bool {
	if !l.foreign(r.Rule) {
		return false
	}
	if first := l.leads(t.Packet, unix.RT_TABLE_MAIN); first != nil && first.Priority < r.Rule.Priority {
		return false // it was not found in main, which is no fault of the rule
	}
	if !t.outer {
		return r.Err != nil || r.Device != l.Tunnel && r.Device != l.Bridge
	}
	on, subnet := l.Underlay, l.subnet()
	known := l.node.Links[on] != nil
	return r.Err != nil || r.Device == l.Tunnel || r.Device == l.Bridge || known && r.Device != on ||
		known && subnet.Contains(t.Dst) && r.Via.IsValid()
}

// foreign says that a rule can lead away from podnet's routes.
func (l *lookup) foreign(r state.PolicyRule) bool {
	return r.Action != 0 && !r.Usual() && (r.Ends() || r.Table != unix.RT_TABLE_MAIN && r.Table != unix.RT_TABLE_LOCAL)
}

// diversion is the conflict about one rule, in the name of the first packet that it takes. The
// remedy is for all of them.
func (l *lookup) diversion(rule state.PolicyRule, taken []int, candidates []candidate,
	routings []Routing) state.Conflict {
	first, way := candidates[taken[0]], routings[taken[0]]
	what, where := "what goes to pods in "+first.to.String(), way.String()
	if first.outer {
		what = "the tunnel's packets to " + first.Dst.String()
	}
	if way.Err != nil {
		where = "nowhere"
	}
	var pods bool
	var nodes []netip.Prefix
	for _, i := range taken {
		if c := candidates[i]; c.outer {
			nodes = append(nodes, l.around(c.Dst))
		} else {
			pods = true
		}
	}
	var selectors []string
	for _, p := range l.want.Ranges {
		if pods && p.Addr().Is6() == rule.IPv6 {
			selectors = append(selectors, "to "+p.String())
		}
	}
	for _, p := range schema.Aggregate(nodes) {
		selectors = append(selectors, fmt.Sprintf("from %s to %s", l.Local, p))
	}
	return state.Conflict{
		Key: state.Key{Kind: state.KindRoute, Name: ByRule}, Name: ruleName(rule),
		Owner:  fmt.Sprintf("a policy rule that podnet did not make (%s): takes %s (%s)", rule, what, where),
		Remedy: rule.PassBy(selectors...),
		Rule:   rule,
	}
}

// around is the subnet of the tunnel's end if an address is in it, else the address alone.
func (l *lookup) around(a netip.Addr) netip.Prefix {
	if s := l.subnet(); s.Contains(a) {
		return s.Masked()
	}
	return netip.PrefixFrom(a, a.BitLen())
}

// candidates are the packets of a family that a foreign rule may take. None: there is no such rule.
func (l *lookup) candidates(ipv6 bool) ([]candidate, error) {
	var all []candidate
	tables := routeTables{}
	var overlap state.Overlaps
	for _, rule := range l.rules {
		if rule.IPv6 != ipv6 || !l.foreign(rule) {
			continue
		}
		if overlap.Want == nil { // it takes a walk over all peers
			overlap = state.NewOverlaps(l.want)
		}
		targets := []netip.Prefix{everything(ipv6)}
		if !rule.Ends() {
			table, err := tables.read(l.node, netlink.FamilyOf(targets[0].Addr()), rule.Table)
			if err != nil {
				return nil, err
			}
			targets = table.destinations()
			l.routes += len(targets)
		}
		for _, dst := range targets {
			if len(all) > maxCandidates {
				return all, nil
			}
			all = append(all, l.against(rule, dst, overlap)...)
		}
	}
	return all, nil
}

// destinations are those of routes that may take packets, the longest prefixes first.
func (t *routeTable) destinations() []netip.Prefix {
	var all []netip.Prefix
	for p, r := range t.routes {
		if r.Type != unix.RTN_THROW {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		return cmp.Or(cmp.Compare(b.Bits(), a.Bits()), a.Addr().Compare(b.Addr()))
	})
	return all
}

// against are packets that fall under a rule and under a destination of its table.
func (l *lookup) against(rule state.PolicyRule, dst netip.Prefix, overlap state.Overlaps) []candidate {
	var all []candidate
	add := func(t candidate, within netip.Prefix) {
		var fits bool
		if t.Dst, fits = common(within, dst, rule.To); fits && matches(rule, t.Packet) {
			all = append(all, t)
		}
	}
	ipv6 := rule.IPv6
	own, pod := l.ownRange(ipv6), l.podUnder(rule)
	if own.IsValid() {
		peers := l.peersUnder(dst, overlap)
		for _, p := range peers {
			add(candidate{Packet: Packet{Src: pod, In: l.Bridge}, to: p}, p)
			add(candidate{to: p}, p)
		}
		if len(peers) > 0 {
			src, _ := common(peers[0], rule.From)
			add(candidate{Packet: Packet{Src: src, In: l.Tunnel}, to: own}, own)
		}
		add(candidate{to: own}, own)
	}
	if l.Local.Is6() == ipv6 {
		for _, ip := range l.Peers(maxPeers) {
			outer := Packet{Src: l.Local, Protocol: unix.IPPROTO_UDP, Port: l.Port}
			add(candidate{Packet: outer, outer: true}, netip.PrefixFrom(ip, ip.BitLen()))
		}
	}
	return all
}

// ownRange is this node's podCIDR of a family; invalid: there is none.
func (l *lookup) ownRange(ipv6 bool) netip.Prefix {
	for _, a := range l.want.Addrs.Rows() {
		if a.Device == l.Bridge && a.Prefix.Addr().Is6() == ipv6 {
			return a.Prefix.Masked()
		}
	}
	return netip.Prefix{}
}

// podUnder is the address of a pod of this node's that a rule is about, or of any.
func (l *lookup) podUnder(rule state.PolicyRule) netip.Addr {
	own := l.ownRange(rule.IPv6)
	if a, fits := common(own, rule.From); fits {
		return a
	}
	a, _ := common(own)
	return a
}

// peersUnder are the podCIDRs that a destination has a part of, or the first of those that it
// holds.
func (l *lookup) peersUnder(dst netip.Prefix, overlap state.Overlaps) []netip.Prefix {
	if p, found := overlap.Holder(dst); found {
		return []netip.Prefix{p}
	}
	var all []netip.Prefix
	for _, r := range l.want.Routes.Rows() {
		if len(all) == maxPeers {
			break
		}
		if dst.Contains(r.Dst.Addr()) && dst.Bits() <= r.Dst.Bits() {
			all = append(all, r.Dst)
		}
	}
	return all
}

// common is an address that all valid prefixes hold: neither the first of a range, which stands for
// the network, nor the second, which is the bridge's, if there is another.
func common(prefixes ...netip.Prefix) (a netip.Addr, fits bool) {
	var least netip.Prefix
	for _, p := range prefixes {
		if !p.IsValid() {
			continue
		}
		if least.IsValid() && !least.Overlaps(p) {
			return a, false
		}
		if !least.IsValid() || p.Bits() > least.Bits() {
			least = p
		}
	}
	a = least.Masked().Addr()
	for range 2 {
		if next := a.Next(); least.Contains(next) {
			a = next
		}
	}
	return a, least.IsValid()
}

// everything is the whole of a family.
func everything(ipv6 bool) netip.Prefix {
	if ipv6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}
