package netfilter

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// elementsAtOnce is how many elements one message has: 40 KiB, where an attribute holds 64.
const elementsAtOnce = 1000

// KeepAddrSet makes a set of addresses of a family, whose elements may have a time limit. One that is
// there keeps its elements.
func (b *Batch) KeepAddrSet(s Set, addrs netlink.Family) {
	const timeLimits = 1 << 4             // NFT_SET_TIMEOUT
	keyType, size := uint32(7), uint32(4) // nft's number for ipv4_addr
	if addrs == netlink.IPv6 {
		keyType, size = 8, 16
	}
	b.add(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, s.Family, func(m *netlink.Message) {
		m.String(unix.NFTA_SET_TABLE, s.Table).String(unix.NFTA_SET_NAME, s.Name)
		m.NetUint32(unix.NFTA_SET_FLAGS, timeLimits)
		m.NetUint32(unix.NFTA_SET_KEY_TYPE, keyType).NetUint32(unix.NFTA_SET_KEY_LEN, size)
		m.NetUint32(unix.NFTA_SET_ID, 1)
	}, "make set %s", s.Name)
}

// AddAddrs adds addresses to a set, for a limited time unless limit is 0. One that is there stays as
// it is.
func (b *Batch) AddAddrs(s Set, addrs []netip.Addr, limit time.Duration) {
	b.addrs(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, s, addrs, limit, "add addresses to set %s")
}

// DeleteAddrs deletes addresses from a set. One that is not there fails the batch: ENOENT.
func (b *Batch) DeleteAddrs(s Set, addrs []netip.Addr) {
	b.addrs(unix.NFT_MSG_DELSETELEM, 0, s, addrs, 0, "delete addresses from set %s")
}

func (b *Batch) addrs(typ, flags uint16, s Set, addrs []netip.Addr, limit time.Duration, what string) {
	for len(addrs) > 0 {
		some := addrs[:min(len(addrs), elementsAtOnce)]
		addrs = addrs[len(some):]
		b.add(typ, flags, s.Family, func(m *netlink.Message) {
			m.String(unix.NFTA_SET_ELEM_LIST_TABLE, s.Table).String(unix.NFTA_SET_ELEM_LIST_SET, s.Name)
			m.Nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(m *netlink.Message) {
				for _, a := range some {
					m.Nest(unix.NFTA_LIST_ELEM, func(m *netlink.Message) {
						m.Nest(unix.NFTA_SET_ELEM_KEY, value(a.AsSlice()))
						if limit > 0 {
							m.NetUint64(unix.NFTA_SET_ELEM_TIMEOUT, uint64(limit.Milliseconds()))
						}
					})
				}
			})
		}, what, s.Name)
	}
}

// DeleteSet deletes a set with its elements. While a rule looks into it that fails the batch: EBUSY.
func (b *Batch) DeleteSet(s Set) {
	b.add(unix.NFT_MSG_DELSET, 0, s.Family, func(m *netlink.Message) {
		m.String(unix.NFTA_SET_TABLE, s.Table).String(unix.NFTA_SET_NAME, s.Name)
	}, "delete set %s", s.Name)
}
