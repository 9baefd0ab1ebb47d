package firewall

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// The attributes of a tracked connection, from linux/netfilter/nfnetlink_conntrack.h.
const (
	ctMessageGet    = 1
	ctMessageDelete = 2

	ctTupleOrig  = 1
	ctTupleReply = 2
	ctStatus     = 3
	ctID         = 12
	ctZone       = 18

	ctTupleIP = 1 // within a tuple; within that the source and the destination:
	ctIPv4Src = 1
	ctIPv4Dst = 2
	ctIPv6Src = 3
	ctIPv6Dst = 4

	ctSeenReply = 1 << 1 // of the status
)

// masquerading is which packets a masquerade chain rewrites: those of own addresses to what none of
// the spared ranges holds.
type masquerading struct {
	own    netip.Prefix
	spared []netip.Prefix
}

// masqueradingOf reads the rules that podnet gives its masquerade chain. It reports false for other
// rules.
func masqueradingOf(c state.Chain) (m masquerading, ok bool) {
	for rule := range strings.Lines(c.Rules) {
		switch f := strings.Fields(rule); {
		case len(f) == 5 && f[0] == "!" && f[1] == "-s":
			m.own, _ = netip.ParsePrefix(f[2])
		case len(f) == 4 && f[0] == "-d":
			if p, err := netip.ParsePrefix(f[1]); err == nil {
				m.spared = append(m.spared, p)
			}
		case len(f) == 2: // everything is spared
			return m, false
		}
	}
	return m, c.Table == "nat" && m.own.IsValid()
}

// missed reports whether a connection began without the rules and has not worked: it has the pod's
// own source, no answer has come, and its destination is none of the spared ones.
func (m masquerading) missed(f trackedFlow) bool {
	return m.own.Contains(f.orig.src) && f.reply.dst == f.orig.src && f.status&ctSeenReply == 0 &&
		!slices.ContainsFunc(m.spared, func(p netip.Prefix) bool { return p.Contains(f.reply.src) })
}

// trackedFlow is one connection of the kernel's table, as far as it has to be known here.
type trackedFlow struct {
	orig, reply endpoints
	status      uint32
	name        []byte // the attributes by which the kernel finds it again
}

type endpoints struct{ src, dst netip.Addr }

// forgetStaleOf has connections that began without the rules begin again, where the rules were not
// in force before a change.
func (h *Host) forgetStaleOf(changes []*state.Change) {
	for _, c := range changes {
		have, _ := c.Have.(state.Chain)
		want, _ := c.Want.(state.Chain)
		if c.Op == state.Create || c.Op == state.Update && (have.Rules != want.Rules || have.Jumps == 0) {
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
	m, ok := masqueradingOf(c)
	if !ok || h.nft == nil {
		return
	}
	family := uint8(netlink.FamilyOfVersion(c.Family))
	var stale [][]byte
	all := netlink.NewMessage(unix.NFNL_SUBSYS_CTNETLINK<<8|ctMessageGet, 0).Raw(family, 0, 0, 0)
	err := h.nft.Dump(all, func() { stale = nil }, func(body []byte) {
		if len(body) < nfgenLen {
			return
		}
		if f := decodeFlow(body[nfgenLen:]); m.missed(f) {
			stale = append(stale, slices.Clone(f.name))
		}
	})
	if err != nil {
		return
	}
	_ = h.nft.Apply(len(stale), func(i int) netlink.Request {
		return netlink.Request{Encode: func(b *netlink.Batch) {
			b.Message(unix.NFNL_SUBSYS_CTNETLINK<<8|ctMessageDelete, 0).Raw(family, 0, 0, 0).Raw(stale[i]...)
		}}
	})
}

func decodeFlow(attributes []byte) (f trackedFlow) {
	keep := func(typ uint16, v []byte) { f.name = netlink.AppendAttribute(f.name, typ, v) }
	netlink.EachAttribute(attributes, func(typ uint16, v []byte) {
		switch typ {
		case ctTupleOrig:
			f.orig = decodeEndpoints(v)
			keep(typ|unix.NLA_F_NESTED, v)
		case ctTupleReply:
			f.reply = decodeEndpoints(v)
		case ctStatus:
			if len(v) == 4 {
				f.status = binary.BigEndian.Uint32(v)
			}
		case ctID, ctZone:
			keep(typ, v)
		}
	})
	return f
}

func decodeEndpoints(tuple []byte) (e endpoints) {
	netlink.EachAttribute(tuple, func(typ uint16, v []byte) {
		if typ != ctTupleIP {
			return
		}
		netlink.EachAttribute(v, func(typ uint16, v []byte) {
			switch typ {
			case ctIPv4Src, ctIPv6Src:
				e.src = netlink.IP(v)
			case ctIPv4Dst, ctIPv6Dst:
				e.dst = netlink.IP(v)
			}
		})
	})
	return e
}
