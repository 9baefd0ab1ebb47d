package netfilter

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// elementsAtOnce is how many elements one message has: 51 KiB of the longest, where an attribute
// holds 64.
const elementsAtOnce = 800

// KeyType is what the elements of a set are, in nft's numbers.
type KeyType struct{ number, size uint32 }

// AddrKey is an address of a family: nft's ipv4_addr or ipv6_addr.
func AddrKey(f netlink.Family) KeyType {
	if f == netlink.IPv6 {
		return KeyType{8, 16}
	}
	return KeyType{7, 4}
}

// KeepSet makes a set, whose elements may have a time limit. One that is there keeps its elements;
// one with keys of another type fails the batch: EEXIST or EINVAL.
func (b *Batch) KeepSet(s Set, keys KeyType) {
	const timeLimits = 1 << 4 // NFT_SET_TIMEOUT
	b.add(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, s.Family, func(m *netlink.Message) {
		m.String(unix.NFTA_SET_TABLE, s.Table).String(unix.NFTA_SET_NAME, s.Name)
		m.NetUint32(unix.NFTA_SET_FLAGS, timeLimits)
		m.NetUint32(unix.NFTA_SET_KEY_TYPE, keys.number).NetUint32(unix.NFTA_SET_KEY_LEN, keys.size)
		m.NetUint32(unix.NFTA_SET_ID, 1)
	}, "make set %s", s.Name)
}

// AddKeys adds elements to a set, for a limited time unless limit is 0. One that is there stays as
// it is.
func (b *Batch) AddKeys(s Set, keys [][]byte, limit time.Duration) {
	b.keys(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE, s, keys, limit, "add to set %s")
}

// DeleteKeys deletes elements from a set. One that is not there fails the batch: ENOENT.
func (b *Batch) DeleteKeys(s Set, keys [][]byte) {
	b.keys(unix.NFT_MSG_DELSETELEM, 0, s, keys, 0, "delete from set %s")
}

// AddrKeys are addresses as keys of a set of AddrKey.
func AddrKeys(addrs []netip.Addr) (keys [][]byte) {
	for _, a := range addrs {
		keys = append(keys, a.AsSlice())
	}
	return keys
}

func (b *Batch) keys(typ, flags uint16, s Set, keys [][]byte, limit time.Duration, what string) {
	for len(keys) > 0 {
		some := keys[:min(len(keys), elementsAtOnce)]
		keys = keys[len(some):]
		b.add(typ, flags, s.Family, func(m *netlink.Message) {
			m.String(unix.NFTA_SET_ELEM_LIST_TABLE, s.Table).String(unix.NFTA_SET_ELEM_LIST_SET, s.Name)
			m.Nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(m *netlink.Message) {
				for _, key := range some {
					m.Nest(unix.NFTA_LIST_ELEM, func(m *netlink.Message) {
						m.Nest(unix.NFTA_SET_ELEM_KEY, value(key))
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
