package state

import (
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state/device"
)

// Link is a device that podnet makes: the bridge or the vxlan device, apart from its being up.
type Link struct {
	Device string
	Type   string // bridge or vxlan
	MAC    MAC
	MTU    int
	Group  uint32
	NoARP  bool // it resolves nobody; podnet's do

	// the bridge runs a spanning tree, which keeps every new port silent for 30 s; podnet's has no
	// loops to find
	STP bool
	// the bridge filters VLANs, and a port without a VLAN for untagged frames passes none; podnet's
	// passes all
	VLANs     bool
	ProtoDown bool // somebody took the carrier away; podnet's have one

	// The rest is the vxlan device's alone.
	VNI      uint32
	Port     uint16
	Local    netip.Addr // underlay source address
	Learning bool
	Lower    int        // index of the device it is bound to; podnet binds it to none
	Remote   netip.Addr // where frames for unknown MACs go; podnet sends them nowhere
	Master   int        // index of the bridge it is a port of; podnet's devices are nobody's ports
	TTL      uint8      // of the outer packets, which may have routers to pass; 0, as podnet has it: the host's default
}

// LinkKey returns the key of the device of that name.
func LinkKey(device string) Key { return Key{Kind: KindLink, Name: device} }

func (l Link) Key() Key     { return LinkKey(l.Device) }
func (l Link) Parent() Key  { return Key{} }
func (l Link) Name() string { return l.Device }

func (l Link) Attrs() string {
	s := fmt.Sprintf("%s mtu %d address %s", l.Type, l.MTU, l.MAC)
	if l.Type == "vxlan" {
		s += fmt.Sprintf(" id %d dstport %d", l.VNI, l.Port)
		if l.Local.IsValid() {
			s += " local " + l.Local.String()
		}
	}
	for _, odd := range []struct {
		is   bool
		text string
	}{
		{l.Group != device.GroupDevice, fmt.Sprintf("group %d", l.Group)},
		{l.NoARP, "arp off"},
		{l.Learning, "learning"},
		{l.Lower != 0, fmt.Sprintf("dev %d", l.Lower)},
		{l.Remote.IsValid(), "remote " + l.Remote.String()},
		{l.Master != 0, fmt.Sprintf("master %d", l.Master)},
		{l.TTL != 0, fmt.Sprintf("ttl %d", l.TTL)},
		{l.STP, "stp_state 1"},
		{l.VLANs, "vlan_filtering 1"},
		{l.ProtoDown, "protodown on"},
	} {
		if odd.is {
			s += " " + odd.text
		}
	}
	return s
}

// MustReplace: of a live device the kernel changes neither type, VNI, port, lower device nor
// remote, nor the family of its local address. All else that podnet manages is changed in place.
func (l Link) MustReplace(have Resource) string {
	h := have.(Link)
	switch {
	case h.Type != l.Type:
		return fmt.Sprintf("it is a %s, not a %s", h.Type, l.Type)
	case h.VNI != l.VNI:
		return "the kernel cannot change the VNI of a vxlan device"
	case h.Port != l.Port:
		return "the kernel cannot change the port of a vxlan device"
	case h.Lower != l.Lower:
		return "it is bound to another device and would die with it"
	case h.Remote != l.Remote:
		return "it floods unknown frames to " + h.Remote.String()
	case l.Local.Is4() != h.Local.Is4():
		return "the kernel cannot change the family of a vxlan device's underlay"
	}
	return ""
}

// Collides says that the two cannot exist side by side although their names differ: a node has one
// vxlan device for a VNI and port.
func (l Link) Collides(other Link) bool {
	return l.Type == "vxlan" && other.Type == "vxlan" && l.Device != other.Device && l.VNI == other.VNI &&
		l.Port == other.Port
}
