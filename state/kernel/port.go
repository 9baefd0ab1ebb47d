package kernel

import (
	"errors"
	"fmt"
	"net"
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
	senders, err := n.senders(want)
	if err != nil {
		return fmt.Errorf("list what pods may send from: %w", err)
	}
	veths, ports, err := n.podPorts()
	if err != nil {
		return fmt.Errorf("list bridge ports: %w", err)
	}
	for i, v := range veths {
		pod := state.Pod{Device: v.Device}
		if err := senders.add(v, &pod, &ports[i], live); err != nil {
			return fmt.Errorf("find what the pod behind %s was given: %w", v.Device, err)
		}
		live.Pods = append(live.Pods, pod)
		if want.WantsBridge() {
			live.Ports.Add(ports[i], state.OwnNode)
		}
	}
	for _, p := range senders.gone() {
		live.Ports.Add(p, state.OwnNode)
	}
	return nil
}

// podPorts lists the pods' veths, twice over. A node without pods is spared the look.
func (n *Node) podPorts() (veths []HostVeth, ports []state.Port, err error) {
	if !n.hasPods() {
		return nil, nil, nil
	}
	err = n.Conn.EachLink(func() { veths, ports = nil, nil }, func(l netlink.Link) {
		if l.Group == device.GroupPod {
			veths, ports = append(veths, n.hostVeth(l)), append(ports, n.portOf(l))
		}
	})
	return veths, ports, err
}

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

// applyPorts first has the ports let through what their pods may send from, all at once.
func (n *Node) applyPorts(changes []*state.Change) {
	var sending []*state.Change
	for _, c := range changes {
		changes, err := n.changesSender(c)
		if c.Err = err; changes {
			sending = append(sending, c)
		}
	}
	n.Firewall.ApplySenders(sending)
	for _, c := range changes {
		c.Err = errors.Join(c.Err, n.applyPort(c))
	}
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
