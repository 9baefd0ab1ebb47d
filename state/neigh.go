package state

import (
	"fmt"
	"net/netip"
)

// Neigh is a neighbour entry of the vxlan device: the MAC that stands for a peer's next hop.
type Neigh struct {
	Device    string
	IP        netip.Addr
	MAC       MAC
	Permanent bool
}

// NeighKey returns the key of the neighbour entry for an address on a device.
func NeighKey(device string, ip netip.Addr) Key {
	return Key{Kind: KindNeigh, Name: device, Addr: ip}
}

func (e Neigh) Key() Key     { return NeighKey(e.Device, e.IP) }
func (e Neigh) Parent() Key  { return LinkUpKey(e.Device) }
func (e Neigh) Name() string { return e.IP.String() }

func (e Neigh) Attrs() string {
	if !e.Permanent {
		return fmt.Sprintf("lladdr %s not permanent", e.MAC)
	}
	return "lladdr " + e.MAC.String()
}
