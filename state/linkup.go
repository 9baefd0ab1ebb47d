package state

import (
	"fmt"
	"net"
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

func listLinksUp(n *Node, _ *Set, live *Live) error {
	for _, l := range live.Links.Rows() {
		if n.links[l.Device].Attrs().Flags&net.FlagUp != 0 {
			live.LinksUp.Add(LinkUp{l.Device}, OwnNode)
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
	if err := n.handle.LinkSetUp(device); err != nil {
		return fmt.Errorf("set %s up: %w", c.Object().Name(), err)
	}
	return nil
}
