package ipam

import "net/netip"

// Prefixes are what a normalized range consists of: its subnet if it leaves out nothing that a pod could have, else as few
// prefixes as there are.
func (r Range) Prefixes() []netip.Prefix {
	if r.First.Compare(r.Subnet.Addr().Next()) <= 0 && r.Last.Compare(lastHost(r.Subnet)) >= 0 {
		return []netip.Prefix{r.Subnet}
	}
	var all []netip.Prefix
	for first := r.First; first.IsValid() && first.Compare(r.Last) <= 0; {
		p := widest(first, r.Last)
		all = append(all, p)
		first = last(p).Next()
	}
	return all
}

// widest is the shortest prefix that begins at first and does not go beyond end.
func widest(first, end netip.Addr) netip.Prefix {
	p := netip.PrefixFrom(first, first.BitLen())
	for p.Bits() > 0 {
		wider := netip.PrefixFrom(first, p.Bits()-1)
		if wider.Masked().Addr() != first || last(wider).Compare(end) > 0 {
			break
		}
		p = wider
	}
	return p
}
