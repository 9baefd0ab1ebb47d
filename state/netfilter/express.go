package netfilter

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// Expressions are what a rule is made of, in the order in which the kernel goes through them. They
// are those that nft makes of the same words, so that it lists them as such.
type Expressions struct{ list []content }

// Registers of the kernel's.
const (
	register  = unix.NFT_REG_1
	register2 = unix.NFT_REG_2
)

// registerAt returns the number of the register that begins so many words of four bytes behind the
// first one. The kernel lists each by the older number where it has one.
func registerAt(word uint32) uint32 {
	if word%4 == 0 {
		return register + word/4
	}
	return unix.NFT_REG32_00 + word
}

func (x *Expressions) add(name string, data content) *Expressions {
	x.list = append(x.list, func(m *netlink.Message) {
		m.String(unix.NFTA_EXPR_NAME, name).Nest(unix.NFTA_EXPR_DATA, data)
	})
	return x
}

func (x *Expressions) compare(op uint32, b []byte) *Expressions {
	return x.add("cmp", func(m *netlink.Message) {
		m.NetUint32(unix.NFTA_CMP_SREG, register).NetUint32(unix.NFTA_CMP_OP, op).Nest(unix.NFTA_CMP_DATA, value(b))
	})
}

func (x *Expressions) payload(base, offset uint32, length int) *Expressions {
	return x.load(register, base, offset, length)
}

// load is payload into another register.
func (x *Expressions) load(to, base, offset uint32, length int) *Expressions {
	return x.add("payload",
		numbers(unix.NFTA_PAYLOAD_DREG, to, unix.NFTA_PAYLOAD_BASE, base, unix.NFTA_PAYLOAD_OFFSET, offset,
			unix.NFTA_PAYLOAD_LEN, uint32(length)))
}

func (x *Expressions) meta(key uint32) *Expressions {
	return x.add("meta", numbers(unix.NFTA_META_DREG, register, unix.NFTA_META_KEY, key))
}

// Protocol asks for a transport protocol.
func (x *Expressions) Protocol(number uint8) *Expressions {
	return x.meta(unix.NFT_META_L4PROTO).compare(unix.NFT_CMP_EQ, []byte{number})
}

// Port asks for the port that a packet is sent to. The protocol stands in front.
func (x *Expressions) Port(port uint16) *Expressions {
	return x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, destinationPort, 2).
		compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint16(nil, port))
}

// Original asks for the port that the connection was opened to, whatever it has been translated to.
func (x *Expressions) Original(port uint16) *Expressions {
	x.add("ct", func(m *netlink.Message) {
		numbers(unix.NFTA_CT_DREG, register, unix.NFTA_CT_KEY, unix.NFT_CT_PROTO_DST)(m)
		m.Uint8(unix.NFTA_CT_DIRECTION, 0)
	})
	return x.compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint16(nil, port))
}

// Source asks for the network that a packet comes from, Destination for the one that it goes to, in
// a table of its family. That of all addresses asks for nothing.
func (x *Expressions) Source(p netip.Prefix) *Expressions {
	return x.address(addressOffsets[p.Addr().BitLen()/8].source, p, unix.NFT_CMP_EQ)
}

// Destination is described with Source.
func (x *Expressions) Destination(p netip.Prefix) *Expressions {
	return x.address(addressOffsets[p.Addr().BitLen()/8].destination, p, unix.NFT_CMP_EQ)
}

// NotDestination asks for any other.
func (x *Expressions) NotDestination(p netip.Prefix) *Expressions {
	return x.address(addressOffsets[p.Addr().BitLen()/8].destination, p, unix.NFT_CMP_NEQ)
}

func (x *Expressions) address(offset uint32, p netip.Prefix, op uint32) *Expressions {
	network := p.Masked().Addr().AsSlice()
	switch bits := p.Bits(); {
	case bits == 0:
		return x
	case bits%8 == 0:
		return x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, bits/8).compare(op, network[:bits/8])
	default:
		return x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, len(network)).mask(len(network), bits).compare(op, network)
	}
}

// mask keeps the first bits of what is loaded.
func (x *Expressions) mask(size, bits int) *Expressions {
	mask := make([]byte, size)
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	return x.add("bitwise", func(m *netlink.Message) {
		numbers(unix.NFTA_BITWISE_SREG, register, unix.NFTA_BITWISE_DREG, register)(m)
		m.NetUint32(unix.NFTA_BITWISE_LEN, uint32(size))
		m.Nest(unix.NFTA_BITWISE_MASK, value(mask)).Nest(unix.NFTA_BITWISE_XOR, value(make([]byte, size)))
	})
}

// Family asks for a family, in a table that has both.
func (x *Expressions) Family(f netlink.Family) *Expressions {
	return x.meta(unix.NFT_META_NFPROTO).compare(unix.NFT_CMP_EQ, []byte{byte(f)})
}

// DNAT sends a connection to another address and port.
func (x *Expressions) DNAT(f netlink.Family, to netip.AddrPort) *Expressions {
	x.immediate(register, value(to.Addr().AsSlice()))
	x.immediate(register2, value(binary.BigEndian.AppendUint16(nil, to.Port())))
	return x.add("nat", numbers(unix.NFTA_NAT_TYPE, unix.NFT_NAT_DNAT, unix.NFTA_NAT_FAMILY, uint32(f),
		unix.NFTA_NAT_REG_ADDR_MIN, register, unix.NFTA_NAT_REG_PROTO_MIN, register2))
}

func (x *Expressions) immediate(to uint32, data content) *Expressions {
	return x.add("immediate", func(m *netlink.Message) {
		m.NetUint32(unix.NFTA_IMMEDIATE_DREG, to).Nest(unix.NFTA_IMMEDIATE_DATA, data)
	})
}

// Masquerade gives a connection the address of the interface that it leaves by.
func (x *Expressions) Masquerade() *Expressions { return x.add("masq", numbers()) }
