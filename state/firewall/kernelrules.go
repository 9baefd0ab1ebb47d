package firewall

import (
	"encoding/binary"
	"slices"

	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// kernelRule is a rule of nftables' as the kernel has it, as far as it tells what iptables-save
// makes of it.
type kernelRule struct {
	chain  string
	place  int // in its chain, from 0
	handle uint64
	set    bool // it looks something up in a set, which iptables-save leaves out without a word
	vmap   bool // a map of verdicts decides
	native bool // it does what iptables cannot express
}

// The requests for lists of nftables' objects.
const (
	getRule  = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETRULE
	getSet   = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETSET
	getChain = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETCHAIN
)

// wordOf is nftables' word for a family of iptables.
func wordOf(family uint8) string {
	if family == 6 {
		return "ip6"
	}
	return "ip"
}

// nftRequest begins a request to nftables.
func nftRequest(typ uint16, family netlink.Family) *netlink.Message {
	return netlink.NewMessage(typ, 0).NetfilterHeader(family, 0)
}

// dumpNFT hands the attributes of every object that a request lists to each.
func (h *Host) dumpNFT(m *netlink.Message, reset func(), each func(attributes []byte)) error {
	return h.nft.Dump(m, reset, func(body []byte) { each(netlink.NetfilterAttributes(body)) })
}

// tableRules reads the rules of one table.
func (h *Host) tableRules(family uint8, table string) (rules []kernelRule, err error) {
	places := map[string]int{}
	err = h.dumpNFT(nftRequest(getRule, netlink.FamilyOfVersion(family)).String(unix.NFTA_RULE_TABLE, table),
		func() { rules = nil; clear(places) },
		func(attributes []byte) {
			r := decodeKernelRule(attributes)
			r.place = places[r.chain]
			places[r.chain]++
			rules = append(rules, r)
		})
	return rules, err
}

// tablesWithSets are those of a family's tables that have sets, anonymous ones included. iptables
// makes none.
func (h *Host) tablesWithSets(family uint8) (tables map[string]bool, err error) {
	err = h.dumpNFT(nftRequest(getSet, netlink.FamilyOfVersion(family)), func() { tables = map[string]bool{} },
		func(attributes []byte) {
			netlink.EachAttribute(attributes, func(typ uint16, v []byte) {
				if typ == unix.NFTA_SET_TABLE {
					tables[unix.ByteSliceToString(v)] = true
				}
			})
		})
	return tables, err
}

// chainsOf are the names of a table's chains.
func (h *Host) chainsOf(family uint8, table string) (names []string, err error) {
	err = h.dumpNFT(nftRequest(getChain, netlink.FamilyOfVersion(family)), func() { names = nil },
		func(attributes []byte) {
			var of, name string
			netlink.EachAttribute(attributes, func(typ uint16, v []byte) {
				switch typ {
				case unix.NFTA_CHAIN_TABLE:
					of = unix.ByteSliceToString(v)
				case unix.NFTA_CHAIN_NAME:
					name = unix.ByteSliceToString(v)
				}
			})
			if of == table {
				names = append(names, name)
			}
		})
	return names, err
}

func decodeKernelRule(attributes []byte) (r kernelRule) {
	netlink.EachAttribute(attributes, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_RULE_CHAIN:
			r.chain = unix.ByteSliceToString(v)
		case unix.NFTA_RULE_HANDLE:
			if len(v) == 8 {
				r.handle = binary.BigEndian.Uint64(v)
			}
		case unix.NFTA_RULE_EXPRESSIONS:
			netlink.EachAttribute(v, func(_ uint16, v []byte) { r.expression(v) })
		}
	})
	return r
}

// expression notes what iptables-save makes of one of the rule's expressions.
func (r *kernelRule) expression(element []byte) {
	var name string
	fields := map[uint16]uint32{}
	netlink.EachAttribute(element, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_EXPR_NAME:
			name = unix.ByteSliceToString(v)
		case unix.NFTA_EXPR_DATA:
			netlink.EachAttribute(v, func(typ uint16, v []byte) {
				fields[typ] = 0
				if len(v) == 4 {
					fields[typ] = binary.BigEndian.Uint32(v)
				}
			})
		}
	})
	_, sets := fields[unix.NFTA_META_SREG]
	switch name {
	case "cmp", "bitwise", "immediate", "match", "target", "counter", "limit", "range":
	case "payload":
		r.native = r.native || !knownPayload(fields[unix.NFTA_PAYLOAD_BASE], fields[unix.NFTA_PAYLOAD_OFFSET])
	case "meta":
		r.native = r.native || sets && fields[unix.NFTA_META_KEY] != unix.NFT_META_NFTRACE ||
			!knownMeta(fields[unix.NFTA_META_KEY])
	case "lookup":
		to, maps := fields[unix.NFTA_LOOKUP_DREG]
		r.set, r.vmap, r.native = true, r.vmap || maps && to == 0, r.native || maps && to != 0
	default:
		r.native = true
	}
}

// knownPayload says whether iptables has a match for a field: addresses, protocol, TTL and
// fragments of the network header, the ports and flags of the one behind it.
func knownPayload(base, offset uint32) bool {
	if base == unix.NFT_PAYLOAD_TRANSPORT_HEADER {
		return true
	}
	ipv4 := []uint32{6, 8, 9, 12, 16} // fragment, TTL, protocol, source, destination
	ipv6 := []uint32{6, 7, 8, 24}     // next header, hop limit, source, destination
	return base == unix.NFT_PAYLOAD_NETWORK_HEADER && (slices.Contains(ipv4, offset) || slices.Contains(ipv6, offset))
}

func knownMeta(key uint32) bool {
	switch key {
	case unix.NFT_META_MARK, unix.NFT_META_IIF, unix.NFT_META_OIF, unix.NFT_META_IIFNAME, unix.NFT_META_OIFNAME,
		unix.NFT_META_L4PROTO,
		unix.NFT_META_NFPROTO, unix.NFT_META_PROTOCOL, unix.NFT_META_PKTTYPE, unix.NFT_META_NFTRACE:
		return true
	}
	return false
}
