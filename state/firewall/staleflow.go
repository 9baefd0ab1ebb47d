package firewall

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// masquerading is which packets a masquerade chain rewrites: those of own addresses to what none of
// the spared ranges holds.
type masquerading struct {
	own    netip.Prefix
	spared []netip.Prefix
}

// masqueradingOf reads the rules that podnet gives its masquerade chain, one value for each family.
// A family of which everything is spared has none, nor have other chains.
func masqueradingOf(c state.Chain) (all []masquerading) {
	if c.Table != "nat" && !strings.HasPrefix(c.Hook, "nat ") {
		return nil
	}
	var m masquerading
	for line := range strings.Lines(c.Rules) {
		switch r, known := state.ParseRule(strings.TrimSpace(line)); {
		case !known:
			return nil
		case r.Verdict == state.Masquerade:
			if m.own.IsValid() {
				all = append(all, m)
			}
			m = masquerading{}
		case r.NotSource.IsValid():
			m = masquerading{own: r.NotSource}
		case r.Destination.IsValid():
			m.spared = append(m.spared, r.Destination)
		default: // everything is spared
			m = masquerading{}
		}
	}
	return all
}

// missed reports whether a connection began without the rules and has not worked: it has the pod's
// own source, no answer has come, and its destination is none of the spared ones.
func (m masquerading) missed(f netfilter.Flow) bool {
	return m.own.Contains(f.Orig.Src) && f.Reply.Dst.Addr() == f.Orig.Src && !f.Answered &&
		!slices.ContainsFunc(m.spared, func(p netip.Prefix) bool { return p.Contains(f.Reply.Src) })
}

// forgetStaleOf has connections that began without the rules begin again, where the rules were not
// in force before a change.
func (h *Host) forgetStaleOf(changes []*state.Change) {
	for _, c := range changes {
		have, _ := c.Have.(state.Chain)
		want, _ := c.Want.(state.Chain)
		if c.Err == nil && (c.Op == state.Create || c.Op == state.Update &&
			(have.Rules != want.Rules || have.Jumps < want.Jumps || have.Hook != want.Hook)) {
			h.forgetStale(want)
		}
	}
}

// forgetStale deletes the tracked connections that masquerading has missed. The kernel asks NAT
// rules about the first packet of a connection only, so that a pod that goes on sending from one
// UDP port would keep its own source, which nobody outside answers, for as long as it sends. A
// connection that has been answered works, and stays. A kernel that tracks nothing, or tells
// nothing of it, has nothing to delete: the rules are in place all the same.
func (h *Host) forgetStale(c state.Chain) {
	for _, m := range masqueradingOf(c) {
		if h.nft != nil {
			_ = h.nft.Forget(netlink.FamilyOf(m.own.Addr()), m.missed)
		}
	}
}
