package verdict

import (
	"bytes"
	"slices"

	"github.com/google/nftables/expr"
)

// Table is what a base chain of nftables goes by.
type Table struct {
	Chains map[string][][]expr.Any // rules, each its expressions
	Sets   map[string][][]byte     // those with single elements
}

// LooksInto names the sets whose elements Judge goes by in a rule. What is looked up in the others,
// an address most of all, it does not know, and they can have elements by the hundred thousand.
func LooksInto(rule []expr.Any) []string {
	var sets []string
	known := map[uint32]bool{}
	for _, e := range rule {
		switch e := e.(type) {
		case *expr.Meta:
			known[e.Register] = true
		case *expr.Ct:
			known[e.Register] = true
		case *expr.Payload:
			known[e.DestRegister] = e.Base == expr.PayloadBaseTransportHeader
		case *expr.Bitwise:
			known[e.DestRegister] = known[e.SourceRegister]
		case *expr.Lookup:
			if known[e.SourceRegister] {
				sets = append(sets, e.SetName)
			}
		}
	}
	return sets
}

// Judge is what a base chain, whose policy may be to drop, does to a packet. It says neither where
// nor what to do about it.
func (t Table) Judge(base string, drops bool, p Packet) Verdict {
	r, first := newRules(), &chain{name: base, nft: true, drops: drops}
	for name, rules := range t.Chains {
		c := &chain{name: name, nft: true}
		if name == base {
			c = first
		}
		for _, expressions := range rules {
			c.rules = append(c.rules, t.rule(expressions))
		}
		r.chains[c.table+" "+name] = c
	}
	return r.enter(first, p)
}

// rule reads one rule's expressions.
func (t Table) rule(expressions []expr.Any) rule {
	r := rule{fits: func(p Packet) answer { return t.fits(expressions, p) }}
	for _, e := range expressions {
		switch e := e.(type) {
		case *expr.Verdict:
			r.decide(e)
		case *expr.Reject:
			r.verdict = "drop"
		case *expr.Lookup:
			if e.IsDestRegSet && e.DestRegister == 0 { // a verdict map
				r.verdict = "either"
			}
		}
	}
	return r
}

func (r *rule) decide(v *expr.Verdict) {
	switch v.Kind {
	case expr.VerdictAccept:
		r.verdict = "accept"
	case expr.VerdictDrop:
		r.verdict = "drop"
	case expr.VerdictReturn:
		r.verdict = "return"
	case expr.VerdictJump:
		r.verdict, r.target = "jump", v.Chain
	case expr.VerdictGoto:
		r.verdict, r.target = "goto", v.Chain
	case expr.VerdictQueue:
		r.verdict = "either"
	}
}

// fits goes through the expressions of a rule as the kernel does.
func (t Table) fits(expressions []expr.Any, p Packet) answer {
	all, regs := yes, registers{}
	for _, e := range expressions {
		switch e := e.(type) {
		case *expr.Meta:
			regs[e.Register] = p.meta(e)
		case *expr.Ct:
			regs[e.Register] = p.ct(e)
		case *expr.Payload:
			regs[e.DestRegister] = p.payload(e)
		case *expr.Bitwise:
			regs[e.DestRegister] = regs[e.SourceRegister].masked(e)
		case *expr.Cmp:
			all = all.and(p.compare(regs[e.Register], e))
		case *expr.Lookup:
			all = all.and(t.lookup(p, regs[e.SourceRegister], e))
		case *expr.Verdict, *expr.Reject, *expr.Counter, *expr.Log, *expr.Notrack, *expr.Immediate:
		case *expr.Match:
			if e.Name != "comment" {
				all = all.and(maybe)
			}
		default: // a limit, a range
			all = all.and(maybe)
		}
	}
	return all
}

// lookup: nobody names a stranger in a set.
func (t Table) lookup(p Packet, r register, e *expr.Lookup) answer {
	elements, known := t.Sets[e.SetName]
	several := slices.ContainsFunc(elements, func(b []byte) bool { return len(b) != len(r.value) }) // fields, of which r is one
	holds := maybe
	switch {
	case r.source && p.Untrusted:
		holds = no
	case known && len(r.value) > 0 && !several:
		holds = is(slices.ContainsFunc(elements, func(b []byte) bool { return bytes.Equal(b, r.value) }))
	}
	if e.Invert {
		return holds.not()
	}
	return holds
}
