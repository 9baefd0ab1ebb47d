package ipam

import (
	"fmt"
	"net/netip"
	"strings"
)

// Range is a piece of a subnet to give addresses from.
type Range struct {
	Subnet  netip.Prefix
	First   netip.Addr // inclusive; invalid: the subnet's first host
	Last    netip.Addr // inclusive; invalid: the subnet's last host
	Gateway netip.Addr // never given; invalid: the subnet's first host
}

// Set is a list of ranges of one family that an attachment gets one address from.
type Set []Range

// Contains says whether a lies between First and Last of a normalized range.
func (r Range) Contains(a netip.Addr) bool {
	return r.Subnet.Contains(a) && r.First.Compare(a) <= 0 && a.Compare(r.Last) <= 0
}

func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// normalize fills in what is left out and says what is wrong with the rest.
func (r Range) normalize() (Range, error) {
	p := r.Subnet
	if !p.IsValid() {
		return r, fmt.Errorf("no subnet")
	}
	if p.Addr().Is4In6() {
		return r, fmt.Errorf("subnet %s is IPv4 written as IPv6: write %s", p, p.Addr().Unmap())
	}
	if p.Bits() > p.Addr().BitLen()-2 {
		return r, fmt.Errorf("network %s too small to allocate from: at most /%d", p, p.Addr().BitLen()-2)
	}
	if p != p.Masked() {
		return r, fmt.Errorf("network %s has host bits set: write %s", p, p.Masked())
	}
	for _, f := range []struct {
		name     string
		field    *netip.Addr
		fallback netip.Addr
	}{
		{"rangeStart", &r.First, p.Addr().Next()},
		{"rangeEnd", &r.Last, lastHost(p)},
	} {
		if !f.field.IsValid() {
			*f.field = f.fallback
		}
		if *f.field = f.field.Unmap(); !p.Contains(*f.field) {
			return r, fmt.Errorf("%s %s not in network %s", f.name, *f.field, p)
		}
	}
	if r.First.Compare(r.Last) > 0 {
		return r, fmt.Errorf("rangeStart %s is after rangeEnd %s", r.First, r.Last)
	}
	if !r.Gateway.IsValid() {
		r.Gateway = p.Addr().Next()
	}
	r.Gateway = r.Gateway.Unmap()
	return r, nil
}

func (r Range) overlaps(o Range) bool {
	return r.First.BitLen() == o.First.BitLen() && r.First.Compare(o.Last) <= 0 && o.First.Compare(r.Last) <= 0
}

func (s Set) String() string {
	text := make([]string, len(s))
	for i, r := range s {
		text[i] = r.String()
	}
	return strings.Join(text, ",")
}

// Find is the range of the set that a lies in.
func (s Set) Find(a netip.Addr) (Range, bool) {
	if i := s.index(a); i >= 0 {
		return s[i], true
	}
	return Range{}, false
}

func (s Set) index(a netip.Addr) int {
	for i, r := range s {
		if r.Contains(a) {
			return i
		}
	}
	return -1
}

func (s Set) normalize() (Set, error) {
	if len(s) == 0 {
		return nil, fmt.Errorf("empty range set")
	}
	out := make(Set, 0, len(s))
	for _, r := range s {
		n, err := r.normalize()
		if err != nil {
			return nil, err
		}
		if n.Subnet.Addr().Is4() != s[0].Subnet.Addr().Is4() {
			return nil, fmt.Errorf("mixed address families: make a range set of each")
		}
		for _, o := range out {
			if n.overlaps(o) {
				return nil, fmt.Errorf("ranges %s and %s overlap", o, n)
			}
		}
		out = append(out, n)
	}
	return out, nil
}

// Normalize checks range sets and fills in their defaults: the gateway is the subnet's first
// address, the range reaches from there to the last that a host may have. The store takes
// normalized sets only.
func Normalize(sets []Set) ([]Set, error) {
	out := make([]Set, 0, len(sets))
	for i, s := range sets {
		n, err := s.normalize()
		if err != nil {
			return nil, fmt.Errorf("range set %d: %w", i, err)
		}
		for j, o := range out {
			if a, b, both := o.overlaps(n); both {
				return nil, fmt.Errorf("range set %d overlaps with %d: %s and %s", i, j, a, b)
			}
		}
		out = append(out, n)
	}
	return out, nil
}

func (s Set) overlaps(o Set) (a, b Range, both bool) {
	for _, a := range s {
		for _, b := range o {
			if a.overlaps(b) {
				return a, b, true
			}
		}
	}
	return Range{}, Range{}, false
}
