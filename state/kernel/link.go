package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
	vishvananda "github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// linkOf is what podnet manages of a link that the kernel reports; a type that podnet does not make
// keeps only what all links have.
func linkOf(l vishvananda.Link) state.Link {
	a := l.Attrs()
	r := state.Link{Device: a.Name, Type: l.Type(), MTU: a.MTU, Group: a.Group, NoARP: a.RawFlags&unix.IFF_NOARP != 0,
		Master: a.MasterIndex}
	copy(r.MAC[:], a.HardwareAddr)
	if v, ok := l.(*vishvananda.Vxlan); ok {
		r.VNI, r.Port, r.Learning, r.Lower = uint32(v.VxlanId), uint16(v.Port), v.Learning, v.VtepDevIndex
		r.Local, r.Remote, r.TTL = addrOf(v.SrcAddr), addrOf(v.Group), uint8(v.TTL)
	}
	return r
}

func addrOf(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// listLinks reports podnet's devices, told by their group. A link with the name of a desired one
// and without the group belongs to somebody else.
func listLinks(n *Node, want *state.Set, live *state.Live) error {
	var own []state.Link
	for _, l := range n.Links {
		r := linkOf(l)
		switch w, _, wanted := want.Links.Find(r.Key()); {
		case r.Group == device.GroupDevice:
			own = append(own, r)
		case r.Type == "vxlan" && !wanted:
			live.Conflicts = append(live.Conflicts, sameTunnel(r, want)...)
		case wanted:
			live.Conflicts = append(live.Conflicts, state.Conflict{
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
		live.Links.Add(l, state.OwnNode)
	}
	return nil
}

// sameTunnel: the kernel has one vxlan device for a VNI and port in each family of the underlay.
func sameTunnel(foreign state.Link, want *state.Set) []state.Conflict {
	for _, w := range want.Links.Rows() {
		if w.Collides(foreign) && foreign.Local.Is6() == w.Local.Is6() {
			return []state.Conflict{{
				Key: w.Key(), Name: foreign.Device, Blocks: true,
				Owner: fmt.Sprintf("a vxlan device that podnet did not make has vni %d port %d (or give network.vxlan another)",
					foreign.VNI, foreign.Port),
				Remedy: "ip link del " + shell.Quote(foreign.Device),
			}}
		}
	}
	return nil
}

func foreignLinkRemedy(have, want state.Link) string {
	if have.Type != want.Type {
		return "ip link del " + have.Device
	}
	return fmt.Sprintf("ip link set %s group %d", have.Device, device.GroupDevice)
}

func (n *Node) applyLink(c *state.Change) error {
	switch c.Op {
	case state.Create:
		return n.addLink(c.Want.(state.Link))
	case state.Delete:
		return n.deleteLink(c.Have.(state.Link))
	default:
		return n.changeLink(c.Have.(state.Link), c.Want.(state.Link))
	}
}

// addLink makes a device, down.
func (n *Node) addLink(l state.Link) error {
	if err := n.makeLink(l); err != nil {
		return err
	}
	made, err := n.Handle.LinkByName(l.Device)
	if err == nil {
		n.Links[l.Device] = made
	}
	return err
}

func (n *Node) makeLink(l state.Link) error {
	var err error
	if l.Type == "vxlan" {
		attrs := vishvananda.NewLinkAttrs()
		attrs.Name, attrs.MTU, attrs.Group, attrs.HardwareAddr = l.Device, l.MTU, l.Group, l.MAC[:]
		err = n.Handle.LinkAdd(&vishvananda.Vxlan{LinkAttrs: attrs, VxlanId: int(l.VNI), Port: int(l.Port),
			SrcAddr: l.Local.AsSlice()})
	} else {
		err = addBridge(n.Handle, l.Device, l.MAC[:], l.MTU, l.Group)
	}
	switch {
	case errors.Is(err, syscall.EEXIST) && l.Type == "vxlan":
		return fmt.Errorf("%s: another vxlan device has vni %d port %d (find it: ip -d link show type vxlan): %w", l.Device,
			l.VNI, l.Port, err)
	case err != nil:
		return fmt.Errorf("make %s %s: %w", l.Type, l.Device, lacksLinkType(l.Type, err))
	}
	return nil
}

func (n *Node) deleteLink(l state.Link) error {
	live, ok := n.Links[l.Device]
	if !ok || live.Attrs().Group != l.Group {
		return nil
	}
	if err := n.Handle.LinkDel(live); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("delete %s: %w", l.Device, err)
	}
	delete(n.Links, l.Device)
	return nil
}

// addBridge makes a bridge, down. Its MAC is set, so that it does not follow its ports.
func addBridge(h *vishvananda.Handle, name string, mac net.HardwareAddr, mtu int, group uint32) error {
	attrs := vishvananda.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.Group, attrs.MTU = name, mac, group, device.FirstMTU(mtu)
	bridge := &vishvananda.Bridge{LinkAttrs: attrs}
	if err := h.LinkAdd(bridge); err != nil {
		return err
	}
	if err := h.LinkSetMTU(bridge, mtu); err != nil {
		return errors.Join(err, h.LinkDel(bridge))
	}
	return nil
}
