package kernel

import (
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/podnet/podnet/state"
	vishvananda "github.com/vishvananda/netlink"
)

// listLinksUp reports podnet's devices that are up, and who keeps the tunnel from going up.
func listLinksUp(n *Node, want *state.Set, live *state.Live) error {
	for _, l := range live.Links.Rows() {
		if n.Links[l.Device].Attrs().Flags&net.FlagUp != 0 {
			live.LinksUp.Add(state.LinkUp{Device: l.Device}, state.OwnNode)
		}
	}
	for _, l := range want.Links.Rows() {
		if l.Type == "vxlan" && !live.Has(state.LinkUpKey(l.Device)) {
			live.Conflicts = append(live.Conflicts, n.takenPort(l)...)
		}
	}
	return nil
}

// applyLinkUp sets a device up. Nobody wants a device of podnet's that is down, so a deletion only
// ever comes with the device's own.
func (n *Node) applyLinkUp(c *state.Change) error {
	device, ok := n.Links[c.Object().Name()]
	if !ok || c.Op == state.Delete {
		return nil
	}
	err := n.Handle.LinkSetUp(device)
	if v, tunnel := device.(*vishvananda.Vxlan); tunnel && errors.Is(err, syscall.EADDRINUSE) {
		if h, known := n.udpHolder(uint16(v.Port), addrOf(v.SrcAddr).Is6()); known {
			err = fmt.Errorf("UDP %d is held by %s: %w", v.Port, h.what, err)
		} else {
			err = fmt.Errorf("UDP %d is held by another tunnel or program (ip -d link; ss -ulpn sport = :%d): %w", v.Port,
				v.Port, err)
		}
	}
	if err != nil {
		return fmt.Errorf("set %s up: %w", c.Object().Name(), err)
	}
	return nil
}
