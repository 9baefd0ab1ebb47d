package schema

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// pool hands out the podCIDRs of one family and size, upwards from the highest in use: a range
// below that is free was some node's once, and the others may still hold routes to it.
type pool struct {
	bits   int
	ranges []netip.Prefix // of clusterCIDRs, in the file's order, none inside another
	taken  []netip.Prefix // podCIDRs and node addresses, disjoint and in order

	at     int          // the range to take from
	behind netip.Prefix // what the next one lies behind; not valid: nothing of that range has been passed

	highestAt int
	highest   netip.Prefix // of the podCIDRs in use; not valid: there is none
}

// newPool wants clusterCIDRs, podCIDRs and node addresses of all families and keeps its own.
func newPool(is4 bool, bits int, cluster, pods, ips []netip.Prefix) *pool {
	p := &pool{bits: bits}
	for _, r := range cluster {
		if r.Addr().Is4() == is4 &&
			!slices.ContainsFunc(cluster, func(o netip.Prefix) bool { return o.Bits() < r.Bits() && o.Overlaps(r) }) {
			p.ranges = append(p.ranges, r)
		}
	}
	for _, used := range pods {
		if used.Addr().Is4() == is4 {
			p.taken = append(p.taken, used)
			p.pass(used)
		}
	}
	for _, ip := range ips {
		if ip.Addr().Is4() == is4 {
			p.taken = append(p.taken, ip)
		}
	}
	slices.SortFunc(p.taken, comparePrefixes)
	return p
}

// pass puts the place from which to go on behind a podCIDR in use, if that is higher.
func (p *pool) pass(used netip.Prefix) {
	for i, r := range p.ranges {
		if r.Overlaps(used) && (i > p.at || i == p.at && (!p.behind.IsValid() || p.behind.Addr().Less(used.Addr()))) {
			p.at, p.behind = i, used
			p.highestAt, p.highest = i, used
		}
	}
}

// take gives the next podCIDR; false: the pool is exhausted.
func (p *pool) take() (netip.Prefix, bool) {
	for p.at < len(p.ranges) {
		for next := p.next(); next.IsValid(); next = p.next() {
			p.behind = next
			if blocker := p.blocker(next); !blocker.IsValid() {
				return next, true
			} else if blocker.Bits() < next.Bits() {
				p.behind = blocker
			}
		}
		p.at++
		p.behind = netip.Prefix{}
	}
	return netip.Prefix{}, false
}

// next is the next block of the range, free or not; not valid: the range ends.
func (p *pool) next() netip.Prefix {
	r := p.ranges[p.at]
	if r.Bits() > p.bits {
		return netip.Prefix{}
	}
	if !p.behind.IsValid() {
		return netip.PrefixFrom(r.Addr(), p.bits)
	}
	next := netip.PrefixFrom(lastAddr(p.behind).Next(), p.bits).Masked()
	if next.IsValid() && next.Overlaps(p.behind) { // smaller than a block: it is in the middle of this one
		next = netip.PrefixFrom(lastAddr(next).Next(), p.bits)
	}
	if !next.IsValid() || !r.Overlaps(next) {
		return netip.Prefix{}
	}
	return next
}

// blocker is what a block overlaps: the widest, as that comes first in order; not valid: nothing.
func (p *pool) blocker(block netip.Prefix) netip.Prefix {
	at, _ := slices.BinarySearchFunc(p.taken, block, comparePrefixes)
	for _, i := range []int{at - 1, at} {
		if i >= 0 && i < len(p.taken) && p.taken[i].Overlaps(block) {
			return p.taken[i]
		}
	}
	return netip.Prefix{}
}

// holes are the first free blocks below the highest in use, at most as many as asked for.
func (p *pool) holes(most int) []string {
	low := &pool{bits: p.bits, ranges: p.ranges, taken: p.taken}
	var free []string
	for p.highest.IsValid() && len(free) < most {
		block, ok := low.take()
		if !ok || low.at > p.highestAt || low.at == p.highestAt && p.highest.Addr().Less(block.Addr()) {
			break
		}
		free = append(free, block.String())
	}
	return free
}

// exhausted says what is left when there are fewer than wanted. given is how many were taken before
// it was.
func (p *pool) exhausted(given, wanted int) string {
	left := "no"
	if given > 0 {
		left = fmt.Sprintf("only %d", given)
	}
	said := fmt.Sprintf("clusterCIDRs %s: %s /%d left", listed(p.ranges), left, p.bits)
	if p.highest.IsValid() {
		said += fmt.Sprintf(" behind %s, the highest in use", p.highest)
	}
	return fmt.Sprintf("%s, for %s", said, plural(wanted, "node"))
}

func listed(prefixes []netip.Prefix) string {
	var names []string
	for _, p := range prefixes {
		names = append(names, p.String())
	}
	return strings.Join(names, ", ")
}

// lastAddr is the highest address of a range.
func lastAddr(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		switch free := (i+1)*8 - p.Bits(); {
		case free >= 8:
			b[i] = 0xff
		case free > 0:
			b[i] |= 1<<free - 1
		}
	}
	last, _ := netip.AddrFromSlice(b)
	return last
}
