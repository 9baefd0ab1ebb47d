package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/rtnl"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
)

// findBridge returns the bridge of that name; rtnl.ErrNoLink if there is no link of the name at all.
func findBridge(h *rtnl.Conn, name string) (*rtnl.Link, error) {
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("bridge %s: %w", name, err)
	}
	if link.Kind != "bridge" {
		return nil, protocol.Errorf(protocol.CodeConflict, "%s exists and is a %s, not a bridge: name another bridge in the configuration, or ip link del %s",
			name, link.Kind, name)
	}
	return link, nil
}

// ensureBridge makes the bridge if it is missing and sets it up. Any number of ADDs may do so at once.
func ensureBridge(req *protocol.Request, h *rtnl.Conn, c *config) (*rtnl.Link, error) {
	br, err := findBridge(h, c.Bridge)
	if errors.Is(err, rtnl.ErrNoLink) {
		br, err = c.makeBridge(h)
	}
	if err != nil {
		return nil, err
	}
	if !br.Up() {
		if err := c.prepareBridge(req); err != nil {
			return nil, err
		}
		if err := h.Do(rtnl.SetUp(br.Index)); err != nil {
			return nil, fmt.Errorf("set bridge %s up: %w", c.Bridge, err)
		}
	}
	if br, err = c.filterVLANs(h, br); err != nil {
		return nil, err
	}
	if c.PromiscMode && !br.Promisc {
		if err := h.Do(rtnl.SetPromiscuous(br.Index)); err != nil {
			return nil, fmt.Errorf("set promiscuous mode of bridge %s: %w", c.Bridge, err)
		}
	}
	return br, nil
}

func (c *config) makeBridge(h *rtnl.Conn) (*rtnl.Link, error) {
	mac, err := c.bridgeMAC()
	if err != nil {
		return nil, err
	}
	var group uint32
	if c.Podnet != nil {
		group = device.GroupDevice
	}
	if err := addBridge(h, c.Bridge, mac, c.MTU, group); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make bridge %s: %w", c.Bridge, err)
	}
	return findBridge(h, c.Bridge)
}

// addBridge makes a bridge as podnetd does, but over the socket that is open anyway: a library would take every pod's ADD its start.
// A name that is taken: EEXIST.
func addBridge(h *rtnl.Conn, name string, mac net.HardwareAddr, mtu int, group uint32) error {
	attrs := rtnl.NewBridge(name, mac).Uint32(unix.IFLA_GROUP, group)
	if mtu == 0 {
		return h.Do(attrs)
	}
	if err := h.Do(attrs.Uint32(unix.IFLA_MTU, uint32(device.FirstMTU(mtu)))); err != nil {
		return err
	}
	br, err := findBridge(h, name)
	if err == nil {
		err = h.Do(rtnl.SetMTU(br.Index, mtu))
	}
	if err != nil && br != nil {
		err = errors.Join(err, h.Do(rtnl.DelLink(br.Index)))
	}
	return err
}

// prepareBridge writes the settings that must be there before the bridge goes up: podnet's own as podnetd has them, any
// other's so that no pod can pose as the host's router.
func (c *config) prepareBridge(req *protocol.Request) error {
	if c.Podnet == nil {
		return writeSettings(device.IgnoreRouters(c.Bridge))
	}
	if c.IPAM.Type != hostlocal.Type {
		return writeSettings(device.BridgeSettings(c.Bridge, c.layer3(), c.layer3())...)
	}
	sets, err := hostlocal.Sets(req)
	if err != nil {
		return err
	}
	speaks := func(ipv4 bool) bool {
		return slices.ContainsFunc(sets, func(s ipam.Set) bool { return s[0].Subnet.Addr().Is4() == ipv4 })
	}
	return writeSettings(device.BridgeSettings(c.Bridge, speaks(true), speaks(false))...)
}

func writeSettings(settings ...device.Setting) error {
	for _, s := range settings {
		if err := s.Write(); err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			return err
		}
	}
	return nil
}
