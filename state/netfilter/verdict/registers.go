package verdict

import (
	"bytes"
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// registers are what nftables computes with; what is not there is not known.
type registers map[uint32]register

// register remembers whether it holds the packet's source, which can be one of several.
type register struct {
	value  []byte
	source bool
	mask   int  // bits of the source
	link   bool // it holds the name of a link that is not known, and not lo
}

func (p Packet) meta(e *expr.Meta) register {
	number := byte(unix.NFPROTO_IPV4)
	if p.six() {
		number = unix.NFPROTO_IPV6
	}
	switch e.Key {
	case expr.MetaKeyIIFNAME:
		return named(p.In)
	case expr.MetaKeyOIFNAME:
		return named(p.Out)
	case expr.MetaKeyNFPROTO:
		return register{value: []byte{number}}
	case expr.MetaKeyL4PROTO:
		if p.Protocol == "udp" {
			return register{value: []byte{unix.IPPROTO_UDP}}
		}
	}
	return register{}
}

// named is a link's name as nftables compares it.
func named(link string) register {
	if link == Unknown {
		return register{link: true}
	}
	value := make([]byte, unix.IFNAMSIZ)
	copy(value, link)
	return register{value: value}
}

// ct: nobody has translated the packet.
func (p Packet) ct(e *expr.Ct) register {
	state := uint32(expr.CtStateBitNEW)
	if p.Established {
		state = expr.CtStateBitESTABLISHED
	}
	switch e.Key {
	case expr.CtKeySTATE:
		return register{value: binary.NativeEndian.AppendUint32(nil, state)}
	case expr.CtKeySTATUS:
		return register{value: make([]byte, 4)}
	}
	return register{}
}

func (p Packet) payload(e *expr.Payload) register {
	offset, size := uint32(12), uint32(4)
	if p.six() {
		offset, size = 8, 16
	}
	switch {
	case e.Base == expr.PayloadBaseTransportHeader && e.Offset == 2 && e.Len == 2 && p.Port != 0:
		return register{value: binary.BigEndian.AppendUint16(nil, p.Port)}
	case e.Base == expr.PayloadBaseNetworkHeader && e.Offset == offset && e.Len <= size:
		return register{source: true, mask: int(e.Len) * 8}
	}
	return register{}
}

func (r register) masked(e *expr.Bitwise) register {
	if r.source {
		ones := 0
		for _, b := range e.Mask {
			for bit := byte(0x80); bit != 0 && b&bit != 0; bit >>= 1 {
				ones++
			}
		}
		return register{source: true, mask: ones}
	}
	if len(r.value) != len(e.Mask) || len(e.Mask) != len(e.Xor) {
		return register{}
	}
	out := make([]byte, len(r.value))
	for i := range out {
		out[i] = r.value[i]&e.Mask[i] ^ e.Xor[i]
	}
	return register{value: out}
}

// compare: a comparison with fewer bytes is one with the beginning.
func (p Packet) compare(r register, e *expr.Cmp) answer {
	var equal answer
	switch {
	case r.source:
		equal = p.fromBytes(e.Data, r.mask)
	case r.link && bytes.HasPrefix(e.Data, []byte("lo\x00")):
		equal = no
	case len(r.value) < len(e.Data) || e.Op != expr.CmpOpEq && e.Op != expr.CmpOpNeq:
		return maybe
	default:
		equal = is(bytes.Equal(r.value[:len(e.Data)], e.Data))
	}
	switch e.Op {
	case expr.CmpOpEq:
		return equal
	case expr.CmpOpNeq:
		return equal.not()
	}
	return maybe
}

func (p Packet) fromBytes(data []byte, bits int) answer {
	size := 4
	if p.six() {
		size = 16
	}
	whole := make([]byte, size)
	copy(whole, data)
	a, _ := netip.AddrFromSlice(whole)
	prefix, err := a.Prefix(bits)
	if err != nil {
		return maybe
	}
	return p.from(prefix)
}
