package state

import (
	"fmt"
	"net/netip"
	"slices"
)

// RouteProtocol marks podnet's routes: "podnet" in rt_protos.d.
const RouteProtocol = 72

// MainTable is the only routing table that podnet uses.
const MainTable = 254 // RT_TABLE_MAIN

// The other two tables that every host has.
const (
	localTable   = 255 // RT_TABLE_LOCAL
	defaultTable = 253 // RT_TABLE_DEFAULT
)

// Route is a route of protocol 72 in the main table: a peer's podCIDR by way of its next hop.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // invalid: none, or several
	Device string
	Metric uint32
	// that this host sends from, preferably; podnet's have one for IPv6, where the tunnel has no
	// address
	Source netip.Addr
	Onlink bool
	TOS    uint8  // podnet's routes have none
	Odd    string // what else somebody made of it, in words; podnet's routes have nothing of the kind
}

// Key: the kernel tells routes to one place apart by metric and TOS.
func (r Route) Key() Key {
	return Key{Kind: KindRoute, Addr: r.Dst.Addr(), Bits: uint8(r.Dst.Bits()), Num: r.Metric, MAC: MAC{r.TOS}}
}
func (r Route) Parent() Key  { return LinkUpKey(r.Device) }
func (r Route) Name() string { return r.Dst.String() }

func (r Route) Attrs() string {
	s := ""
	if r.Via.IsValid() {
		s = "via " + r.Via.String() + " "
	}
	s += "dev " + r.Device
	if r.Source.IsValid() {
		s += " src " + r.Source.String()
	}
	if r.Onlink {
		s += " onlink"
	}
	s = fmt.Sprintf("%s metric %d", s, r.Metric)
	if r.TOS != 0 {
		s += fmt.Sprintf(" tos %d", r.TOS)
	}
	if r.Odd != "" {
		s += " " + r.Odd
	}
	return s
}

// ChangesSource says that a change of an IPv6 route is one of its source alone.
func (c *Change) ChangesSource() bool {
	if c.Op != Update {
		return false
	}
	have, want := c.Have.(Route), c.Want.(Route)
	have.Source = want.Source
	return have == want && want.Dst.Addr().Is6()
}

// ForgetSource takes an address out of the routes that send from it, as the kernel does when the
// address goes. A copy of the set from before keeps it.
func (s *Set) ForgetSource(a netip.Addr) {
	s.Routes.rows = slices.Clone(s.Routes.rows)
	for i := range s.Routes.rows {
		if r := &s.Routes.rows[i]; r.Source == a {
			r.Source = netip.Addr{}
		}
	}
}
