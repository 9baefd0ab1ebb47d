package state

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/vishvananda/netlink"
)

// LinkUp is a device's being up. It is an object of its own because addresses and sysctls come before it, and peers after.
type LinkUp struct {
	Device string
}

func linkUpKey(device string) Key { return Key{Kind: KindLinkUp, Name: device} }

func (l LinkUp) Key() Key      { return linkUpKey(l.Device) }
func (l LinkUp) Parent() Key   { return linkKey(l.Device) }
func (l LinkUp) Name() string  { return l.Device }
func (l LinkUp) Attrs() string { return "up" }

// listLinksUp reports podnet's devices that are up, and who keeps the tunnel from going up.
func listLinksUp(n *Node, want *Set, live *Live) error {
	for _, l := range live.Links.Rows() {
		if n.links[l.Device].Attrs().Flags&net.FlagUp != 0 {
			live.LinksUp.Add(LinkUp{l.Device}, OwnNode)
		}
	}
	for _, l := range want.Links.Rows() {
		if l.Type == "vxlan" && !wants(&live.Set, linkUpKey(l.Device)) {
			live.Conflicts = append(live.Conflicts, n.takenPort(l)...)
		}
	}
	return nil
}

// applyLinkUp sets a device up. Nobody wants a device of podnet's that is down, so a deletion only ever comes with the
// device's own.
func (n *Node) applyLinkUp(c *Change) error {
	device, ok := n.links[c.Object().Name()]
	if !ok || c.Op == Delete {
		return nil
	}
	err := n.handle.LinkSetUp(device)
	if v, tunnel := device.(*netlink.Vxlan); tunnel && errors.Is(err, syscall.EADDRINUSE) {
		if h, known := n.udpHolder(uint16(v.Port), addrOf(v.SrcAddr).Is6()); known {
			err = fmt.Errorf("UDP %d is held by %s: %w", v.Port, h.what, err)
		} else {
			err = fmt.Errorf("UDP %d is held by another tunnel or program (ip -d link; ss -ulpn sport = :%d): %w", v.Port, v.Port, err)
		}
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", c.Object().Name(), err)
	}
	return nil
}
