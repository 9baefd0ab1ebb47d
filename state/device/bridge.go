package device

import (
	"errors"
	"net"

	"github.com/vishvananda/netlink"
)

// AddBridge makes a bridge, down. Its MAC is set, so that it does not follow its ports. mtu 0: the kernel's. A name that is
// taken: EEXIST.
func AddBridge(h *netlink.Handle, name string, mac net.HardwareAddr, mtu int, group uint32) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr, attrs.Group = name, mac, group
	if mtu != 0 {
		attrs.MTU = mtu - 1
	}
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := h.LinkAdd(bridge); err != nil || mtu == 0 {
		return err
	}
	// A bridge's MTU goes with the next port that leaves, unless somebody has changed it since its creation.
	if err := h.LinkSetMTU(bridge, mtu); err != nil {
		return errors.Join(err, h.LinkDel(bridge))
	}
	return nil
}

// BridgeSettings are podnet's bridge's before it goes up where pods speak IPv6: without them its link-local address is
// tentative for two seconds after the first carrier, and the first pod cannot be reached.
func BridgeSettings(bridge string) []Setting {
	return []Setting{
		{"net/ipv6/conf/" + bridge + "/disable_ipv6", "0"},
		{"net/ipv6/conf/" + bridge + "/accept_dad", "0"},
	}
}
