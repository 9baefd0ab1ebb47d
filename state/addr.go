package state

import (
	"net/netip"
)

// Addr is an address of one of podnet's devices, with the route to its subnet that the kernel makes
// for it.
type Addr struct {
	Device    string
	Prefix    netip.Prefix // the address and its prefix length
	Secondary bool         // it goes when another address of its subnet does
	Unrouted  bool         // the kernel's route to its subnet is gone
}

// Key: an IPv6 address is the same with any prefix length.
func (a Addr) Key() Key {
	k := Key{Kind: KindAddr, Name: a.Device, Addr: a.Prefix.Addr()}
	if a.Prefix.Addr().Is4() {
		k.Bits = uint8(a.Prefix.Bits())
	}
	return k
}
func (a Addr) Parent() Key  { return LinkKey(a.Device) }
func (a Addr) Name() string { return a.Prefix.String() }

func (a Addr) Attrs() string {
	s := "dev " + a.Device
	if a.Secondary {
		s += " secondary"
	}
	if a.Unrouted {
		s += " without its subnet's route"
	}
	return s
}

// MustReplace: nothing of an address changes in place.
func (a Addr) MustReplace(have Resource) string {
	switch h := have.(Addr); {
	case h.Secondary:
		return "it is secondary to a foreign address of its subnet and would go with that"
	case h.Unrouted:
		return "the kernel makes a subnet's route only with its address"
	}
	return "it has another prefix length"
}

// Displaces says that other, which nobody wants, has to go before a can be what it should: the
// first IPv4 address of a subnet takes the others along when it goes.
func (a Addr) Displaces(other Addr) bool {
	return a.Device == other.Device && a.Prefix.Addr().Is4() && a.Prefix.Masked() == other.Prefix.Masked()
}
