package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ByIPsec is the name in the key of a conflict with an IPsec policy.
const ByIPsec = "IPsec policy"

// flow is what podnet's network has to carry, as IPsec policies see it.
type flow struct {
	src, dst netip.Prefix
	outer    bool // it is the tunnel's own
	dir      vishvananda.Dir
}

// ipsecConflicts finds the IPsec policies that drop or transform what pods send each other, or that
// want the tunnel's packets transformed by an association that does not exist. A tunnel that IPsec
// really carries is no conflict.
func (l *lookup) ipsecConflicts() ([]state.Conflict, error) {
	policies, err := whole(func() ([]vishvananda.XfrmPolicy, error) { return l.node.Handle.XfrmPolicyList(vishvananda.FAMILY_ALL) })
	if errors.Is(err, unix.EPROTONOSUPPORT) || len(policies) == 0 && err == nil {
		return nil, nil // a kernel or a host without IPsec
	}
	if err != nil {
		return nil, fmt.Errorf("list IPsec policies: %w", err)
	}
	states, err := whole(func() ([]vishvananda.XfrmState, error) { return l.node.Handle.XfrmStateList(vishvananda.FAMILY_ALL) })
	if err != nil {
		return nil, fmt.Errorf("list IPsec associations: %w", err)
	}
	var out []state.Conflict
	flows := l.flows()
	for i := range policies {
		for _, f := range flows {
			if c, is := l.ipsecConflict(f, &policies[i], policies, states); is {
				out = append(out, c)
				break
			}
		}
	}
	return out, nil
}

// flows are those between this node and the first of its peers, in the directions in which the
// kernel asks policies.
func (l *lookup) flows() []flow {
	var all []flow
	for _, r := range l.want.Routes.Rows()[:min(l.want.Routes.Len(), maxCandidates)] {
		own := l.ownRange(r.Dst.Addr().Is6())
		for _, dir := range []vishvananda.Dir{vishvananda.XFRM_DIR_FWD, vishvananda.XFRM_DIR_OUT} { // both are asked of what is forwarded
			all = append(all, flow{own, r.Dst, false, dir}, flow{r.Dst, own, false, dir})
		}
	}
	local := netip.PrefixFrom(l.Local, l.Local.BitLen())
	for _, ip := range l.Peers(maxCandidates) {
		peer := netip.PrefixFrom(ip, ip.BitLen())
		all = append(all, flow{local, peer, true, vishvananda.XFRM_DIR_OUT}, flow{peer, local, true, vishvananda.XFRM_DIR_IN})
	}
	return all
}

// ipsecConflict says that a policy is the one that the kernel goes by for a part of a flow, and
// loses that.
func (l *lookup) ipsecConflict(f flow, p *vishvananda.XfrmPolicy, policies []vishvananda.XfrmPolicy,
	states []vishvananda.XfrmState) (state.Conflict, bool) {
	src, is := common(f.src, prefixOf(p.Src))
	dst, fits := common(f.dst, prefixOf(p.Dst))
	if !is || !fits || l.chosen(f, src, dst, policies) != p {
		return state.Conflict{}, false
	}
	what := fmt.Sprintf("what pods in %s send to pods in %s", f.src, f.dst)
	if f.outer {
		what = fmt.Sprintf("the tunnel's packets from %s to %s", src, dst)
	}
	does := ""
	switch transformed := transforms(p); {
	case p.Action == vishvananda.XFRM_POLICY_BLOCK:
		does = "drops " + what
	case transformed && !f.outer:
		does = "transforms " + what
	case transformed && !associated(p, states):
		does = "drops " + what + ", as there is no association (ip xfrm state) for it: its IPsec program has to make one"
	default:
		return state.Conflict{}, false
	}
	return state.Conflict{
		Key: state.Key{Kind: state.KindRoute, Name: ByIPsec}, Name: fmt.Sprintf("xfrm policy %d", p.Index),
		Owner: fmt.Sprintf("an IPsec policy that podnet did not make (%s, action %s, priority %d): %s", selector(p),
			p.Action, p.Priority, does),
		Remedy: l.passIPsec(p, f, src, dst),
	}, true
}

// chosen is the policy that the kernel takes for a packet: of those that match the one with the
// lowest priority, and of these the oldest, which has the lowest index.
func (l *lookup) chosen(f flow, src, dst netip.Addr, policies []vishvananda.XfrmPolicy) *vishvananda.XfrmPolicy {
	var best *vishvananda.XfrmPolicy
	for i := range policies {
		p := &policies[i]
		if p.Dir != f.dir || p.Ifid != 0 || p.Ifindex != 0 || p.Mark != nil && p.Mark.Value != 0 ||
			!prefixOf(p.Src).Contains(src) || !prefixOf(p.Dst).Contains(dst) {
			continue
		}
		if f.outer && (p.Proto != 0 && p.Proto != unix.IPPROTO_UDP || p.DstPort != 0 && p.DstPort != int(l.Port) ||
			p.SrcPort != 0) {
			continue
		}
		if best == nil || p.Priority < best.Priority || p.Priority == best.Priority && p.Index < best.Index {
			best = p
		}
	}
	return best
}

// transforms says that a policy lets nothing through as it is.
func transforms(p *vishvananda.XfrmPolicy) bool {
	for _, t := range p.Tmpls {
		if t.Optional == 0 {
			return true
		}
	}
	return false
}

// associated says that there is an association for each transformation that a policy asks for.
func associated(p *vishvananda.XfrmPolicy, states []vishvananda.XfrmState) bool {
	for _, t := range p.Tmpls {
		found := t.Optional != 0
		for _, s := range states {
			dst := t.Dst.IsUnspecified() || s.Dst.Equal(t.Dst)
			found = found || dst && s.Spi != 0 && s.Proto == t.Proto && s.Mode == t.Mode && (t.Reqid == 0 || s.Reqid == t.Reqid)
		}
		if !found {
			return false
		}
	}
	return true
}

// selector is what a policy is about, in the words of ip(8), with which it can be named.
func selector(p *vishvananda.XfrmPolicy) string {
	words := []string{"src", prefixOf(p.Src).String(), "dst", prefixOf(p.Dst).String()}
	if p.Proto != 0 {
		words = append(words, "proto", fmt.Sprint(int(p.Proto)))
	}
	if p.SrcPort != 0 {
		words = append(words, "sport", fmt.Sprint(p.SrcPort))
	}
	if p.DstPort != 0 {
		words = append(words, "dport", fmt.Sprint(p.DstPort))
	}
	return strings.Join(append(words, p.Dir.String()), " ")
}

// passIPsec is the command that lets podnet's packets through. A policy of a priority above 0 stays
// as it is, behind one for these alone; one that drops moves behind it; one of the highest priority
// that transforms, or one about nothing else, has to go.
func (l *lookup) passIPsec(p *vishvananda.XfrmPolicy, f flow, src, dst netip.Addr) string {
	only := f.outer && prefixOf(p.Src).IsSingleIP() && prefixOf(p.Dst).IsSingleIP() && p.Proto == unix.IPPROTO_UDP ||
		slices.Contains(l.want.Ranges, prefixOf(p.Src)) && slices.Contains(l.want.Ranges, prefixOf(p.Dst))
	if only {
		return "ip xfrm policy delete " + selector(p)
	}
	priority, first := p.Priority-1, ""
	if p.Priority == 0 {
		if p.Action != vishvananda.XFRM_POLICY_BLOCK {
			return "ip xfrm policy delete " + selector(p)
		}
		priority, first = 0, fmt.Sprintf("ip xfrm policy update %s action block priority 1 && ", selector(p))
	}
	var commands []string
	if f.outer {
		for _, peer := range l.peersOf(p, f, src, dst) {
			from, to := peer, netip.PrefixFrom(l.Local, l.Local.BitLen())
			if p.Dir == vishvananda.XFRM_DIR_OUT {
				from, to = to, from
			}
			commands = append(commands,
				fmt.Sprintf("ip xfrm policy add src %s dst %s proto udp dport %d %s priority %d", from, to, l.Port, p.Dir,
					priority))
		}
		return first + strings.Join(commands, " && ")
	}
	for _, from := range l.want.Ranges {
		for _, to := range l.want.Ranges {
			if from.Addr().Is6() == src.Is6() && to.Addr().Is6() == src.Is6() {
				commands = append(commands,
					fmt.Sprintf("ip xfrm policy add src %s dst %s %s priority %d", from, to, p.Dir, priority))
			}
		}
	}
	return first + strings.Join(commands, " && ")
}

// peersOf are the peers that a policy about the tunnel's packets concerns: one, or all of them.
func (l *lookup) peersOf(p *vishvananda.XfrmPolicy, f flow, src, dst netip.Addr) []netip.Prefix {
	peer, selected := src, prefixOf(p.Src)
	if f.dir == vishvananda.XFRM_DIR_OUT {
		peer, selected = dst, prefixOf(p.Dst)
	}
	if selected.IsSingleIP() {
		return []netip.Prefix{netip.PrefixFrom(peer, peer.BitLen())}
	}
	return l.Sources()
}
