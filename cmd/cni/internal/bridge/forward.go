package bridge

import (
	"fmt"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/sysctl"
)

// ensureForwarding has the host forward the families of these addresses.
func ensureForwarding(h *netlink.Conn, families []netip.Prefix) error {
	var settings []device.Setting
	for _, p := range families {
		if p.Addr().Is4() {
			settings = append(settings, device.Setting{Path: device.IPv4Forwarding, Value: "1"})
			continue
		}
		on, listeners, err := sysctl.Listeners(hostLinks(h), uplinks(h))
		if err != nil {
			return fmt.Errorf("look for the host's IPv6 routers: %w", err)
		}
		if !on {
			settings = append(settings, device.ForwardIPv6(listeners)...)
		}
	}
	if err := writeSettings(settings...); err != nil {
		return fmt.Errorf("switch on forwarding: %w", err)
	}
	return nil
}

// hostLinks returns a function that lists the host's links. Each call lists them again.
func hostLinks(h *netlink.Conn) func() ([]device.Link, error) {
	return func() ([]device.Link, error) {
		links, err := h.Links(0)
		var out []device.Link
		for _, l := range links {
			out = append(out, device.Link{
				Index: l.Index, Name: l.Name, Kind: l.Kind, Group: l.Group,
				Port: l.Master != 0, Loopback: l.Flags&unix.IFF_LOOPBACK != 0,
			})
		}
		return out, err
	}
}

// uplinks returns a function that reports whether a default route leads over a link, or a route
// that a router has announced.
func uplinks(h *netlink.Conn) func(device.Link) (bool, error) {
	known := sync.OnceValues(func() (map[int]bool, error) {
		indexes := map[int]bool{}
		for _, family := range []netlink.Family{netlink.IPv4, netlink.IPv6} {
			routes, err := h.Routes(family, unix.RT_TABLE_MAIN, 0)
			if err != nil {
				return nil, err
			}
			for _, r := range routes {
				if r.Dst.Bits() == 0 || r.Protocol == unix.RTPROT_RA {
					indexes[r.Index] = true
				}
			}
		}
		return indexes, nil
	})
	return func(l device.Link) (bool, error) {
		indexes, err := known()
		return indexes[l.Index], err
	}
}
