package schema

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// span is a range that belongs to a node: a podCIDR, or its ip as a range of one address.
type span struct {
	prefix netip.Prefix
	e      *entry
	pod    *podRange // nil: one of the node's underlay addresses
	ip     address   // that one
}

// clash is what a podCIDR overlaps: the first of the others in the file, and how many more.
type clash struct {
	wrong, with span
	more        int
}

// maxEnclosing bounds how many of the ranges around another are named, so that a file with one
// range 50,000 times over still takes linear time.
const maxEnclosing = 16

// checkOverlaps finds podCIDRs that overlap each other or a node's ip. Ranges either nest or are
// disjoint, so that in sorted order those around a range are a stack.
func (r *reader) checkOverlaps(entries []entry) {
	clashes := map[*podRange]*clash{}
	var inOrder []*clash
	var around []span
	for _, s := range sortedSpans(entries) {
		for len(around) > 0 && !around[len(around)-1].prefix.Overlaps(s.prefix) {
			around = around[:len(around)-1]
		}
		for _, outer := range around[max(0, len(around)-maxEnclosing):] {
			wrong, with := blame(outer, s)
			if c := clashes[wrong.pod]; c != nil {
				c.add(with)
				continue
			}
			c := &clash{wrong: wrong, with: with}
			clashes[wrong.pod], inOrder = c, append(inOrder, c)
		}
		if s.pod != nil {
			around = append(around, s)
		}
	}
	for _, c := range inOrder {
		r.overlapFault(c)
	}
}

func sortedSpans(entries []entry) []span {
	spans := make([]span, 0, 3*len(entries))
	for i := range entries {
		e := &entries[i]
		for _, a := range e.addresses() {
			if a.IsValid() {
				spans = append(spans, span{prefix: netip.PrefixFrom(a.Addr, a.BitLen()), e: e, ip: a})
			}
		}
		for k := range e.pods {
			spans = append(spans, span{prefix: e.pods[k].prefix, e: e, pod: &e.pods[k]})
		}
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(a.prefix.Addr().Compare(b.prefix.Addr()), cmp.Compare(a.prefix.Bits(), b.prefix.Bits()),
			cmp.Compare(a.e.index, b.e.index))
	})
	return spans
}

// blame says which of two is wrong: a podCIDR rather than an ip, the later in the file of two
// podCIDRs.
func blame(outer, inner span) (wrong, with span) {
	if inner.pod == nil || outer.e.index > inner.e.index {
		return outer, inner
	}
	return inner, outer
}

func (c *clash) add(with span) {
	c.more++
	if with.e.index < c.with.e.index {
		c.with = with
	}
}

func (r *reader) overlapFault(c *clash) {
	e, pod := c.wrong.e, c.wrong.pod
	with := c.with
	var message, remedy string
	if with.pod != nil {
		message = fmt.Sprintf("%s overlaps %s of %s, line %d", pod.prefix, with.pod.prefix, with.e.title(), with.pod.at.Line)
	} else {
		message = fmt.Sprintf("%s contains %s, the %s of %s, line %d", pod.prefix, with.ip, with.ip.field, with.e.title(),
			with.ip.at.Line)
		remedy = "a range in which no node has its ip"
	}
	if c.more > 0 {
		message += fmt.Sprintf(", and %d more", c.more)
	}
	r.fault(pod.at, pod.field(e), message, remedy)
}
