package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/sysctl"
)

// findBridge returns the configuration's bridge. The error is netlink.ErrNoLink if there is no link
// of the name at all.
func (c *call) findBridge() (*netlink.Link, error) {
	name := c.Bridge
	link, err := c.host.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("bridge %s: %w", name, err)
	}
	if link.Kind != "bridge" {
		return nil, protocol.Errorf(protocol.CodeConflict,
			"%s exists and is a %s, not a bridge: "+
				"name another bridge in the configuration, or ip link del %s",
			name, link.Kind, name)
	}
	return link, nil
}

// ensureBridge makes the bridge if it is missing and has it be as pods need it. Any number of ADDs
// may do so at once.
func (c *call) ensureBridge() (*netlink.Link, error) {
	br, err := c.findBridge()
	if errors.Is(err, netlink.ErrNoLink) {
		br, err = c.makeBridge()
	}
	if err != nil {
		return nil, err
	}
	if br, err = c.prepareBridge(br); err != nil {
		return nil, err
	}
	if br, err = c.filterVLANs(br); err != nil {
		return nil, err
	}
	if c.PromiscMode && !br.Promiscuous() {
		if err := c.host.Do(netlink.SetPromiscuous(br.Index)); err != nil {
			return nil, fmt.Errorf("set promiscuous mode of bridge %s: %w", c.Bridge, err)
		}
	}
	return br, nil
}

// prepareBridge sets the bridge up if it is down, which one is that was just made, and has it take
// no pod for a router. A bridge that the plugin finds in use by others gets its MAC set to the one
// that it has: with it unset, the MAC would move with the ports, and pods would lose their gateway.
// Setting it again each time would have the kernel forget the neighbours each time.
func (c *call) prepareBridge(br *netlink.Link) (*netlink.Link, error) {
	var messages []*netlink.Message
	if !c.owns(br) && (br.ListensToRouters() || !br.OperUp()) {
		messages = append(messages, netlink.SetMAC(br.Index, br.MAC))
	}
	if br.Up() {
		if err := ignoreRouters(br); err != nil {
			return nil, err
		}
	} else {
		if err := c.writeFirst(); err != nil {
			return nil, err
		}
		c.started = true
		messages = append(messages, netlink.SetUp(br.Index))
	}
	if len(messages) == 0 {
		return br, nil
	}
	if err := c.host.Do(messages...); err != nil {
		return nil, fmt.Errorf("set bridge %s up with the MAC %s: %w", c.Bridge, br.MAC, err)
	}
	return c.findBridge()
}

// owns reports whether podnet made the bridge, with a MAC of its own.
func (c *config) owns(br *netlink.Link) bool {
	return c.Podnet != nil && br.Group == device.GroupDevice
}

// ignoreRouters keeps a link that is up already from taking any pod for the host's router.
func ignoreRouters(link *netlink.Link) error {
	if !link.ListensToRouters() {
		return nil
	}
	return writeSettings(device.IgnoreRouters(link.Name))
}

func (c *call) makeBridge() (*netlink.Link, error) {
	mac, err := c.bridgeMAC()
	if err != nil {
		return nil, err
	}
	if err := c.addBridge(mac); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("make bridge %s: %w", c.Bridge, err)
	}
	return c.findBridge()
}

// addBridge makes a bridge as podnetd does, but over the socket that is open anyway: a library
// would take every pod's ADD its start. A name that is taken: EEXIST.
func (c *call) addBridge(mac net.HardwareAddr) error {
	var group uint32
	if c.Podnet != nil {
		group = device.GroupDevice
	}
	attrs := netlink.NewBridge(c.Bridge, mac).Uint32(unix.IFLA_GROUP, group)
	if c.MTU == 0 {
		return c.host.Do(attrs)
	}
	if err := c.host.Do(attrs.Uint32(unix.IFLA_MTU, uint32(device.FirstMTU(c.MTU)))); err != nil {
		return err
	}
	br, err := c.findBridge()
	if err == nil {
		err = c.host.Do(netlink.SetMTU(br.Index, c.MTU))
	}
	if err != nil && br != nil {
		err = errors.Join(err, c.host.Do(netlink.DelLink(br.Index)))
	}
	return err
}

// writeFirst writes the settings that must be there before the bridge goes up: podnet's own as
// podnetd has them, any other's so that no pod can pose as the host's router, and so that it can
// have the gateways' addresses.
func (c *config) writeFirst() error {
	ipv4, ipv6, err := c.families()
	if err != nil {
		return err
	}
	if c.Podnet != nil {
		return writeSettings(device.BridgeSettings(c.Bridge, ipv4, ipv6)...)
	}
	settings := []device.Setting{device.IgnoreRouters(c.Bridge)}
	if ipv6 && c.IsGateway && !c.delegates() {
		settings = append(settings, device.AllowIPv6(c.Bridge))
	}
	return writeSettings(settings...)
}

// families reports the address families of the pods: those of host-local's ranges; both, if another
// IPAM plugin gives the addresses; none without IPAM.
func (c *config) families() (ipv4, ipv6 bool, err error) {
	if c.local == nil {
		return c.layer3(), c.layer3(), nil
	}
	sets, err := c.local.Sets()
	for _, s := range sets {
		is4 := s[0].Subnet.Addr().Is4()
		ipv4, ipv6 = ipv4 || is4, ipv6 || !is4
	}
	return ipv4, ipv6, err
}

// writeSettings leaves out what a kernel without IPv6 does not have.
func writeSettings(settings ...device.Setting) error {
	for _, s := range settings {
		err := sysctl.Write(s)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist):
		case errors.Is(err, unix.EROFS), errors.Is(err, fs.ErrPermission):
			return protocol.Errorf(protocol.CodeConfig,
				"%s has to be %s, and the plugin cannot write it: "+
					"have it run where /proc/sys is writable: %w", s.Path, s.Value, err)
		default:
			return err
		}
	}
	return nil
}
