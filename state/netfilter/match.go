package netfilter

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// Match is what a rule asks of a packet, as far as rules for host ports and masquerading do, and
// where it sends it. What it does not ask is the zero value.
type Match struct {
	Protocol    uint8
	Source      netip.Prefix
	Destination netip.Prefix
	Port        uint16         // that a packet is sent to
	Original    uint16         // the port that the connection was opened to
	Interface   string         // that a packet comes in by
	Sender      [6]byte        // the Ethernet address that a frame comes from
	To          netip.AddrPort // of a rule that translates the destination
}

// Sources of what a rule compares, by the register that holds it.
type operand struct {
	kind         string
	base, offset uint32
	bits         int // of an address that was masked; else 0
}

// parseMatch reads the expressions of a rule as nft writes them. Those it does not know it passes
// over.
func parseMatch(expressions []byte) (m Match) {
	var operands [registers]operand
	var values [registers][]byte
	at := func(data []byte, kind uint16) uint32 { return field(data, kind) % registers }
	netlink.EachAttribute(expressions, func(_ uint16, e []byte) {
		data := netlink.Attribute(e, unix.NFTA_EXPR_DATA)
		switch text(e, unix.NFTA_EXPR_NAME) {
		case "meta":
			operands[at(data, unix.NFTA_META_DREG)] = operand{kind: "meta", base: field(data, unix.NFTA_META_KEY)}
		case "ct":
			operands[at(data, unix.NFTA_CT_DREG)] = operand{kind: "ct", base: field(data, unix.NFTA_CT_KEY)}
		case "payload":
			operands[at(data, unix.NFTA_PAYLOAD_DREG)] = operand{kind: "payload", base: field(data, unix.NFTA_PAYLOAD_BASE),
				offset: field(data, unix.NFTA_PAYLOAD_OFFSET)}
		case "bitwise":
			o := operands[at(data, unix.NFTA_BITWISE_SREG)]
			o.bits = ones(netlink.Attribute(data, unix.NFTA_BITWISE_MASK, unix.NFTA_DATA_VALUE))
			operands[at(data, unix.NFTA_BITWISE_DREG)] = o
		case "immediate":
			values[at(data, unix.NFTA_IMMEDIATE_DREG)] = bytes.Clone(netlink.Attribute(data, unix.NFTA_IMMEDIATE_DATA,
				unix.NFTA_DATA_VALUE))
		case "cmp":
			if field(data, unix.NFTA_CMP_OP) == unix.NFT_CMP_EQ {
				m.compare(operands[at(data, unix.NFTA_CMP_SREG)], netlink.Attribute(data, unix.NFTA_CMP_DATA, unix.NFTA_DATA_VALUE))
			}
		case "nat":
			addr, _ := netip.AddrFromSlice(values[at(data, unix.NFTA_NAT_REG_ADDR_MIN)])
			if port := values[at(data, unix.NFTA_NAT_REG_PROTO_MIN)]; len(port) >= 2 && field(data, unix.NFTA_NAT_TYPE) == unix.NFT_NAT_DNAT {
				m.To = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
			}
		}
	})
	return m
}

// compare takes in that an operand is to have a value.
func (m *Match) compare(o operand, value []byte) {
	switch {
	case o.kind == "meta" && o.base == unix.NFT_META_L4PROTO && len(value) == 1:
		m.Protocol = value[0]
	case o.kind == "meta" && o.base == unix.NFT_META_IIFNAME:
		m.Interface = netlink.Text(value)
	case o.kind == "ct" && o.base == unix.NFT_CT_PROTO_DST && len(value) == 2:
		m.Original = binary.BigEndian.Uint16(value)
	case o.kind == "payload" && o.base == unix.NFT_PAYLOAD_TRANSPORT_HEADER && o.offset == destinationPort &&
		len(value) == 2:
		m.Port = binary.BigEndian.Uint16(value)
	case o.kind == "payload" && o.base == unix.NFT_PAYLOAD_LL_HEADER && o.offset == senderOffset &&
		len(value) == len(m.Sender):
		m.Sender = [6]byte(value)
	case o.kind == "payload" && o.base == unix.NFT_PAYLOAD_NETWORK_HEADER:
		for size, at := range addressOffsets {
			switch o.offset {
			case at.source:
				m.Source = prefixOf(value, size, o.bits)
			case at.destination:
				m.Destination = prefixOf(value, size, o.bits)
			}
		}
	}
}

// registers is how many numbers of registers there are; the kernel knows the first four by older
// ones.
const registers = 32

// Where headers have what rules compare.
const (
	destinationPort = 2
	senderOffset    = 6
)

// addressOffsets are by the size of an address; no two of them are the same.
var addressOffsets = map[int]struct{ source, destination uint32 }{4: {12, 16}, 16: {8, 24}}

// parsePorts reads a multiport match of iptables; nil: it has ranges, or is no list of destination
// ports.
func parsePorts(info []byte) []uint16 {
	const limit = 15
	if len(info) < 2+3*limit || info[0] != multiportDestination || int(info[1]) > limit {
		return nil
	}
	var ports []uint16
	for i := range int(info[1]) {
		if info[2+2*limit+i] != 0 {
			return nil
		}
		ports = append(ports, binary.NativeEndian.Uint16(info[2+2*i:]))
	}
	return ports
}

const multiportDestination = 1 // XT_MULTIPORT_DESTINATION

// prefixOf is the network that a value means: nft compares only the first bytes of an address where
// its mask ends with a byte.
func prefixOf(value []byte, size, bits int) netip.Prefix {
	if bits == 0 {
		bits = 8 * len(value)
	}
	addr, ok := netip.AddrFromSlice(append(bytes.Clone(value), make([]byte, max(0, size-len(value)))...))
	if !ok {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(addr, bits)
}

// ones counts the bits of a mask that are set.
func ones(mask []byte) (n int) {
	for _, b := range mask {
		for ; b != 0; b <<= 1 {
			n++
		}
	}
	return n
}
