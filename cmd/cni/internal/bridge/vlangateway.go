package bridge

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
)

// gatewayLink returns the link that has the gateway's address: the bridge, or the VLAN's
// interface. The error is netlink.ErrNoLink if that is not there.
func (c *call) gatewayLink(br *netlink.Link) (*netlink.Link, error) {
	name := c.vlanGateway()
	if name == "" {
		return br, nil
	}
	link, err := c.host.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("link %s: %w", name, err)
	}
	if link.Kind != "veth" && !c.prepared(link, br) {
		return nil, protocol.Errorf(protocol.CodeConflict,
			"%s exists and is a %s, not the interface of VLAN %d on %s: rename or remove it",
			name, link.Kind, c.VLAN, br.Name)
	}
	return link, nil
}

const linkVLAN = 1 // IFLA_VLAN_ID

// prepared reports whether a link is a VLAN interface that somebody has made on the bridge for this
// VLAN.
func (c *config) prepared(link, br *netlink.Link) bool {
	id := link.Info(linkVLAN)
	if link.Kind != "vlan" || link.Parent != br.Index || len(id) != 2 {
		return false
	}
	return int(binary.NativeEndian.Uint16(id)) == c.VLAN
}

// ensureGatewayLink makes the VLAN's interface if it is missing: a veth whose other end is a port
// in that VLAN only. Like the bridge it belongs to all of the network's pods and stays when they
// go.
func (c *call) ensureGatewayLink(br *netlink.Link) (*netlink.Link, error) {
	link, err := c.gatewayLink(br)
	if link == br || err != nil && !errors.Is(err, netlink.ErrNoLink) {
		return link, err
	}
	if errors.Is(err, netlink.ErrNoLink) {
		v := &veth{
			name: device.VethName(br.Name, "vlan", fmt.Sprint(c.VLAN)), mac: portMAC(),
			mtu: br.MTU, bridge: br,
			peer: c.vlanGateway(), peerMAC: randomMAC(),
		}
		if err := c.host.Do(v.request(-1)); err != nil && !errors.Is(err, unix.EEXIST) {
			return nil, v.explain(err)
		}
		if link, err = c.gatewayLink(br); err != nil {
			return nil, err
		}
	}
	if c.prepared(link, br) { // packets come up to it if the bridge itself is in the VLAN
		err = c.host.Do(vlanMessageTo(ofItself, unix.RTM_SETLINK, br.Index, vlanInfo(0, c.VLAN)))
	} else {
		err = c.setVLANs(br, link.Parent, nil) // again: an ADD may have been killed in between
	}
	if err != nil {
		return nil, fmt.Errorf("put %s into VLAN %d of %s: %w", link.Name, c.VLAN, br.Name, err)
	}
	if link.Up() {
		return link, ignoreRouters(link)
	}
	if err := writeSettings(device.IgnoreRouters(link.Name)); err != nil {
		return nil, err
	}
	if err := c.host.Do(netlink.SetUp(link.Index)); err != nil {
		return nil, fmt.Errorf("set %s up: %w", link.Name, err)
	}
	return link, nil
}
