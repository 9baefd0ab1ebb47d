package state

import (
	"fmt"
	"net/netip"
)

// FDB is a forwarding entry of the vxlan device: the underlay address behind a peer's VTEP MAC.
type FDB struct {
	Device    string
	MAC       MAC
	Dst       netip.Addr
	Permanent bool
	Port      uint16 // 0: the device's
	VNI       uint32 // 0: the device's
	Out       int    // index of the link that the packets have to leave by; 0: any
}

func fdbKey(device string, mac MAC) Key { return Key{Kind: KindFDB, Name: device, MAC: mac} }

func (e FDB) Key() Key     { return fdbKey(e.Device, e.MAC) }
func (e FDB) Parent() Key  { return LinkKey(e.Device) }
func (e FDB) Name() string { return e.MAC.String() }

func (e FDB) Attrs() string {
	s := "dst " + e.Dst.String()
	if e.Port != 0 {
		s += fmt.Sprintf(" port %d", e.Port)
	}
	if e.VNI != 0 {
		s += fmt.Sprintf(" vni %d", e.VNI)
	}
	if e.Out != 0 {
		s += fmt.Sprintf(" via %d", e.Out)
	}
	if !e.Permanent {
		s += " not permanent"
	}
	return s
}
