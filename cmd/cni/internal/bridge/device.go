package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
)

// findBridge returns the bridge of that name; a netlink.LinkNotFoundError if there is no link of the name at all.
func findBridge(h *netlink.Handle, name string) (*netlink.Bridge, error) {
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("bridge %s: %w", name, err)
	}
	br, ok := link.(*netlink.Bridge)
	if !ok {
		return nil, protocol.Errorf(protocol.CodeConflict, "%s exists and is a %s, not a bridge: name another bridge in the configuration, or ip link del %s",
			name, link.Type(), name)
	}
	return br, nil
}

// ensureBridge makes the bridge if it is missing and sets it up. Any number of ADDs may do so at once.
func ensureBridge(h *netlink.Handle, c *config) (*netlink.Bridge, error) {
	br, err := findBridge(h, c.Bridge)
	if isNotFound(err) {
		br, err = c.makeBridge(h)
	}
	if err != nil {
		return nil, err
	}
	if br.Flags&net.FlagUp == 0 {
		if err := c.prepareBridge(); err != nil {
			return nil, err
		}
		if err := h.LinkSetUp(br); err != nil {
			return nil, fmt.Errorf("set bridge %s up: %w", c.Bridge, err)
		}
	}
	if c.PromiscMode && br.Promisc == 0 {
		if err := h.SetPromiscOn(br); err != nil {
			return nil, fmt.Errorf("set promiscuous mode of bridge %s: %w", c.Bridge, err)
		}
	}
	return br, nil
}

func (c *config) makeBridge(h *netlink.Handle) (*netlink.Bridge, error) {
	mac, err := c.bridgeMAC()
	if err != nil {
		return nil, err
	}
	var group uint32
	if c.Podnet != nil {
		group = device.GroupDevice
	}
	if err := device.AddBridge(h, c.Bridge, mac, c.MTU, group); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make bridge %s: %w", c.Bridge, err)
	}
	return findBridge(h, c.Bridge)
}

// prepareBridge writes the settings that must be there before the bridge goes up: podnet's own as podnetd has them, any
// other's so that no pod can pose as the host's router.
func (c *config) prepareBridge() error {
	settings := []device.Setting{{Path: "net/ipv6/conf/" + c.Bridge + "/accept_ra", Value: "0"}}
	if c.Podnet != nil {
		settings = device.BridgeSettings(c.Bridge)
	}
	for _, s := range settings {
		if err := s.Write(); err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return err
		}
	}
	return nil
}

func isNotFound(err error) bool {
	var notFound netlink.LinkNotFoundError
	return errors.As(err, &notFound)
}
