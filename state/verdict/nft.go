package verdict

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Table is what a base chain of nftables goes by.
type Table struct {
	Chains map[string][][]expr.Any // rules, each its expressions
	Sets   map[string][][]byte     // those with single elements
}

// Judge is what a base chain, with such a policy, may do to a packet.
func (t Table) Judge(base string, drops bool, p Packet) Outcome {
	policy := Accept
	if drops {
		policy = Drop
	}
	chains := func(name string) []rule {
		var out []rule
		for _, r := range t.Chains[name] {
			out = append(out, t.run(p, r))
		}
		return out
	}
	may, _ := judge(chains, base, policy)
	return may
}

// registers are what nftables computes with; what is not there is not known.
type registers map[uint32]register

// register remembers whether it holds the packet's source, which can be one of several.
type register struct {
	value  []byte
	source bool
	mask   int  // bits of the source
	link   bool // it holds the name of a link that is not known, and not lo
}

// run goes through the expressions of a rule.
func (t Table) run(p Packet, expressions []expr.Any) rule {
	r, regs := rule{holds: Yes}, registers{}
	for _, e := range expressions {
		switch e := e.(type) {
		case *expr.Meta:
			regs[e.Register] = p.meta(e)
		case *expr.Ct:
			regs[e.Register] = ct(e)
		case *expr.Payload:
			regs[e.DestRegister] = p.payload(e)
		case *expr.Bitwise:
			regs[e.DestRegister] = regs[e.SourceRegister].masked(e)
		case *expr.Cmp:
			r.holds = r.holds.and(p.compare(regs[e.Register], e))
		case *expr.Verdict:
			r.verdict(e)
		case *expr.Reject:
			r.does = Drop
		case *expr.Counter, *expr.Log, *expr.Notrack, *expr.Immediate:
		case *expr.Match:
			if e.Name != "comment" {
				r.holds = r.holds.and(Maybe)
			}
		case *expr.Lookup:
			r.holds = r.holds.and(t.lookup(p, regs[e.SourceRegister], e))
			if e.IsDestRegSet && e.DestRegister == 0 { // a verdict map
				r.does = Accept | Drop
			}
		default: // a limit, a set, a range
			r.holds = r.holds.and(Maybe)
		}
	}
	return r
}

func (r *rule) verdict(v *expr.Verdict) {
	switch v.Kind {
	case expr.VerdictAccept:
		r.does = Accept
	case expr.VerdictDrop:
		r.does = Drop
	case expr.VerdictReturn:
		r.does = pass
	case expr.VerdictJump, expr.VerdictGoto:
		r.chain, r.gone = v.Chain, v.Kind == expr.VerdictGoto
	case expr.VerdictQueue:
		r.does = Accept | Drop
	}
}

func (p Packet) meta(e *expr.Meta) register {
	number := byte(unix.NFPROTO_IPV4)
	if p.IPv6 {
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
		if p.UDP {
			return register{value: []byte{unix.IPPROTO_UDP}}
		}
	}
	return register{}
}

// named is a link's name as nftables compares it.
func named(link string) register {
	if link == "" {
		return register{link: true}
	}
	value := make([]byte, unix.IFNAMSIZ)
	copy(value, link)
	return register{value: value}
}

// ct: the packet is the first of its connection, and nobody has translated it.
func ct(e *expr.Ct) register {
	switch e.Key {
	case expr.CtKeySTATE:
		return register{value: binary.NativeEndian.AppendUint32(nil, expr.CtStateBitNEW)}
	case expr.CtKeySTATUS:
		return register{value: make([]byte, 4)}
	}
	return register{}
}

func (p Packet) payload(e *expr.Payload) register {
	offset, size := uint32(12), uint32(4)
	if p.IPv6 {
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
func (p Packet) compare(r register, e *expr.Cmp) Truth {
	var equal Truth
	switch {
	case r.source:
		equal = p.fromBytes(e.Data, r.mask)
	case r.link && bytes.HasPrefix(e.Data, []byte("lo\x00")):
		equal = No
	case len(r.value) < len(e.Data) || e.Op != expr.CmpOpEq && e.Op != expr.CmpOpNeq:
		return Maybe
	default:
		equal = truth(bytes.Equal(r.value[:len(e.Data)], e.Data))
	}
	switch e.Op {
	case expr.CmpOpEq:
		return equal
	case expr.CmpOpNeq:
		return equal.not()
	}
	return Maybe
}

func (p Packet) fromBytes(data []byte, bits int) Truth {
	size := 4
	if p.IPv6 {
		size = 16
	}
	whole := make([]byte, size)
	copy(whole, data)
	a, _ := netip.AddrFromSlice(whole)
	prefix, err := a.Prefix(bits)
	if err != nil {
		return Maybe
	}
	return p.from(prefix)
}

// lookup: nobody names a stranger in a set.
func (t Table) lookup(p Packet, r register, e *expr.Lookup) Truth {
	elements, known := t.Sets[e.SetName]
	holds := Maybe
	switch {
	case r.source && p.Stranger:
		holds = No
	case known && len(r.value) > 0:
		holds = truth(slices.ContainsFunc(elements, func(b []byte) bool { return bytes.Equal(b, r.value) }))
	}
	if e.Invert {
		return holds.not()
	}
	return holds
}
