package state

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is a device that podnet makes: the bridge or the vxlan device, apart from its being up.
type Link struct {
	Device string
	Type   string // bridge or vxlan
	MAC    MAC
	MTU    int
	Group  uint32
	NoARP  bool // it resolves nobody; podnet's do

	STP       bool // the bridge runs a spanning tree, which keeps every new port silent for 30 s; podnet's has no loops to find
	VLANs     bool // the bridge filters VLANs, and a port without a VLAN for untagged frames passes none; podnet's passes all
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

func linkKey(device string) Key { return Key{Kind: KindLink, Name: device} }

func (l Link) Key() Key     { return linkKey(l.Device) }
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

// MustReplace: of a live device the kernel changes neither type, VNI, port, lower device nor remote, nor the family of its local
// address. All else that podnet manages is changed in place.
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

// Collides says that the two cannot exist side by side although their names differ: a node has one vxlan device for a VNI
// and port.
func (l Link) Collides(other Link) bool {
	return l.Type == "vxlan" && other.Type == "vxlan" && l.Device != other.Device && l.VNI == other.VNI && l.Port == other.Port
}

// linkOf is what podnet manages of a link that the kernel reports; a type that podnet does not make keeps only
// what all links have.
func linkOf(l netlink.Link) Link {
	a := l.Attrs()
	r := Link{Device: a.Name, Type: l.Type(), MTU: a.MTU, Group: a.Group, NoARP: a.RawFlags&unix.IFF_NOARP != 0, Master: a.MasterIndex}
	copy(r.MAC[:], a.HardwareAddr)
	if v, ok := l.(*netlink.Vxlan); ok {
		r.VNI, r.Port, r.Learning, r.Lower = uint32(v.VxlanId), uint16(v.Port), v.Learning, v.VtepDevIndex
		r.Local, r.Remote, r.TTL = addrOf(v.SrcAddr), addrOf(v.Group), uint8(v.TTL)
	}
	return r
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// listLinks reports podnet's devices, told by their group. A link with the name of a desired one and without the group
// belongs to somebody else.
func listLinks(n *Node, want *Set, live *Live) error {
	var own []Link
	for _, l := range n.links {
		r := linkOf(l)
		switch w, _, wanted := want.Links.Find(r.Key()); {
		case r.Group == device.GroupDevice:
			own = append(own, r)
		case r.Type == "vxlan" && !wanted:
			live.Conflicts = append(live.Conflicts, sameTunnel(r, want)...)
		case wanted:
			live.Conflicts = append(live.Conflicts, Conflict{
				Key: r.Key(), Blocks: true,
				Owner:  fmt.Sprintf("a %s that podnet did not make (group %d)", r.Type, r.Group),
				Remedy: foreignLinkRemedy(r, w),
			})
		}
	}
	if err := n.readSwitches(own); err != nil {
		return fmt.Errorf("look at podnet's devices: %w", err)
	}
	for _, l := range own {
		live.Links.Add(l, OwnNode)
	}
	return nil
}

// sameTunnel: the kernel has one vxlan device for a VNI and port in each family of the underlay.
func sameTunnel(foreign Link, want *Set) []Conflict {
	for _, w := range want.Links.Rows() {
		if w.Collides(foreign) && foreign.Local.Is6() == w.Local.Is6() {
			return []Conflict{{
				Key: w.Key(), Name: foreign.Device, Blocks: true,
				Owner:  fmt.Sprintf("a vxlan device that podnet did not make has vni %d port %d (or give network.vxlan another)", foreign.VNI, foreign.Port),
				Remedy: "ip link del " + shell.Quote(foreign.Device),
			}}
		}
	}
	return nil
}

func foreignLinkRemedy(have, want Link) string {
	if have.Type != want.Type {
		return "ip link del " + have.Device
	}
	return fmt.Sprintf("ip link set %s group %d", have.Device, device.GroupDevice)
}

func (n *Node) applyLink(c *Change) error {
	switch c.Op {
	case Create:
		return n.addLink(c.Want.(Link))
	case Delete:
		return n.deleteLink(c.Have.(Link))
	default:
		return n.changeLink(c.Have.(Link), c.Want.(Link))
	}
}

// addLink makes a device, down.
func (n *Node) addLink(l Link) error {
	if err := n.makeLink(l); err != nil {
		return err
	}
	made, err := n.handle.LinkByName(l.Device)
	if err == nil {
		n.links[l.Device] = made
	}
	return err
}

func (n *Node) makeLink(l Link) error {
	var err error
	if l.Type == "vxlan" {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.Group, attrs.HardwareAddr = l.Device, l.MTU, l.Group, l.MAC[:]
		err = n.handle.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: int(l.VNI), Port: int(l.Port), SrcAddr: l.Local.AsSlice()})
	} else {
		err = addBridge(n.handle, l.Device, l.MAC[:], l.MTU, l.Group)
	}
	switch {
	case errors.Is(err, syscall.EEXIST) && l.Type == "vxlan":
		return fmt.Errorf("%s: another vxlan device has vni %d port %d (find it: ip -d link show type vxlan): %w", l.Device, l.VNI, l.Port, err)
	case err != nil:
		return fmt.Errorf("make %s %s: %w", l.Type, l.Device, lacksLinkType(l.Type, err))
	}
	return nil
}

func (n *Node) deleteLink(l Link) error {
	live, ok := n.links[l.Device]
	if !ok || live.Attrs().Group != l.Group {
		return nil
	}
	if err := n.handle.LinkDel(live); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete %s: %w", l.Device, err)
	}
	delete(n.links, l.Device)
	return nil
}

// addBridge makes a bridge, down. Its MAC is set, so that it does not follow its ports.
func addBridge(h *netlink.Handle, name string, mac net.HardwareAddr, mtu int, group uint32) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.Group, attrs.MTU = name, mac, group, device.FirstMTU(mtu)
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := h.LinkAdd(bridge); err != nil {
		return err
	}
	if err := h.LinkSetMTU(bridge, mtu); err != nil {
		return errors.Join(err, h.LinkDel(bridge))
	}
	return nil
}
