package kernel

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	vishvananda "github.com/vishvananda/netlink"
)

// listPorts reports the pods' veths and the place of each, both from one look. netlink does not
// tell a port's hairpin mode in a dump.
//
// Where no bridge is wanted, as on a node whose podCIDRs were taken away, no port is, and those
// that are left are the pods' own: they are not compared.
func listPorts(n *Node, want *state.Set, live *state.Live) error {
	live.Conflicts = append(live.Conflicts, n.unplugged(want)...)
	if !n.hasPods() {
		return nil
	}
	compared := slices.ContainsFunc(want.Links.Rows(), func(l state.Link) bool { return l.Type == "bridge" })
	start := live.Ports.Mark()
	err := n.Conn.EachLink(func() { live.Ports.Rewind(start); live.Pods = nil }, func(l netlink.Link) {
		if l.Group == device.GroupPod {
			live.Pods = append(live.Pods, l.Name)
			if compared {
				live.Ports.Add(n.portOf(l), state.OwnNode)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("list bridge ports: %w", err)
	}
	return nil
}

// hasPods spares a node without pods the second look.
func (n *Node) hasPods() bool {
	for _, l := range n.Links {
		if l.Attrs().Group == device.GroupPod {
			return true
		}
	}
	return false
}

// portOf is what a link is as a port.
func (n *Node) portOf(l netlink.Link) state.Port {
	options := readPort(l)
	p := state.Port{Device: l.Name, Bridge: n.Name(l.Master), Down: !l.Up(), Hairpin: options.hairpin}
	if bridge := n.Links[p.Bridge]; bridge != nil && bridge.Attrs().Flags&net.FlagUp == 0 {
		options.operating = false // no port of a bridge that is down forwards
	}
	p.Closed = options.closed()
	return p
}

// applyPort puts a veth where it belongs. A pod that has gone in the meantime, or is about to,
// needs no place.
func (n *Node) applyPort(c *state.Change) error {
	if c.Op == state.Delete { // nobody takes a pod's port away
		return nil
	}
	want := c.Want.(state.Port)
	have, _ := c.Have.(state.Port)
	bridge := n.Index(want.Bridge)
	veth, err := n.Handle.LinkByName(want.Device)
	if errors.As(err, new(vishvananda.LinkNotFoundError)) || err == nil && veth.Attrs().Group != device.GroupPod {
		return nil
	}
	if err == nil && bridge == 0 {
		err = syscall.ENODEV
	}
	if err != nil {
		return fmt.Errorf("port %s of %s: %w", want.Device, want.Bridge, err)
	}
	if err := n.setPort(veth, bridge, have, want); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("port %s of %s: %w", want.Device, want.Bridge, err)
	}
	return nil
}

// setPort changes what differs. A port of another bridge begins with the kernel's options.
func (n *Node) setPort(veth vishvananda.Link, bridge int, have, want state.Port) (err error) {
	moved := have.Bridge != want.Bridge
	if moved {
		err = n.Handle.LinkSetMasterByIndex(veth, bridge)
	}
	if err == nil && (moved || have.Hairpin != want.Hairpin) {
		err = n.Handle.LinkSetHairpin(veth, want.Hairpin)
	}
	if err == nil && !moved && have.Closed != 0 {
		err = n.openPort(have.Closed, veth.Attrs().Index)
	}
	if err == nil && have.Down {
		err = n.Handle.LinkSetUp(veth)
	}
	return err
}
