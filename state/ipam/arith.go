package ipam

import (
	"iter"
	"net/netip"
)

// last is the highest address of a prefix: the broadcast address if it is IPv4.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for bit := p.Bits(); bit < len(b)*8; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// lastHost is the highest address that a host may have.
func lastHost(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		return last(p).Prev()
	}
	return last(p)
}

// assignable says whether a is an address for a pod: in the range, and neither the gateway, nor the
// network itself (IPv6: the subnet-router anycast address), nor the IPv4 broadcast address.
func (r Range) assignable(a netip.Addr) bool {
	return r.Contains(a) && a != r.Gateway && a != r.Subnet.Addr() && a.Compare(lastHost(r.Subnet)) <= 0
}

// candidates yields the assignable addresses of the set, each once and in the order in which they
// are to be tried: from the one after previous on, round to previous itself, so that an address
// rests as long as possible before it is given again. A previous that is not in the set begins at
// the beginning.
func (s Set) candidates(previous netip.Addr) iter.Seq2[netip.Addr, Range] {
	return func(yield func(netip.Addr, Range) bool) {
		at, others := s.index(previous), len(s)-1
		if at < 0 {
			others = len(s)
		} else if !s[at].walk(previous.Next(), s[at].Last, yield) {
			return
		}
		for i := range others {
			r := s[(at+1+i)%len(s)]
			if !r.walk(r.First, r.Last, yield) {
				return
			}
		}
		if at >= 0 {
			s[at].walk(s[at].First, previous, yield)
		}
	}
}

// walk yields the assignable addresses from first to last; false if the caller of the iterator has
// had enough.
func (r Range) walk(first, last netip.Addr, yield func(netip.Addr, Range) bool) bool {
	for a := first; a.IsValid() && a.Compare(last) <= 0; a = a.Next() {
		if r.assignable(a) && !yield(a, r) {
			return false
		}
	}
	return true
}
