package state

import "net/netip"

// Overlaps finds the desired route that somebody else's route takes traffic from: that of the same
// destination, or of one around it.
type Overlaps struct {
	Want *Table[Route]
	Bits []uint8 // prefix lengths of desired routes
}

// NewOverlaps looks among the routes of a desired set.
func NewOverlaps(want *Set) Overlaps {
	o := Overlaps{Want: &want.Routes}
	var seen [129]bool
	for i := range o.Want.Rows() {
		if bits := uint8(o.Want.Rows()[i].Dst.Bits()); !seen[bits] {
			seen[bits] = true
			o.Bits = append(o.Bits, bits)
		}
	}
	return o
}

// Touches says whether a destination is a desired one's, or lies in one.
func (o Overlaps) Touches(dst netip.Prefix) bool {
	_, found := o.Holder(dst)
	return found
}

// Holder is the desired destination that a prefix lies in.
func (o Overlaps) Holder(dst netip.Prefix) (netip.Prefix, bool) {
	for _, bits := range o.Bits {
		if p, err := dst.Addr().Prefix(int(bits)); err == nil && int(bits) <= dst.Bits() {
			if _, _, found := o.Want.Find(Route{Dst: p, Metric: PeerMetric(p)}.Key()); found {
				return p, true
			}
		}
	}
	return netip.Prefix{}, false
}
