package bridge

import (
	"errors"
	"fmt"
	"net"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/podns"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
)

// dialPod opens a netlink socket in the pod's namespace.
func dialPod(pod *podns.Namespace) (h *netlink.Handle, err error) {
	err = pod.Do(func() error { h, err = netlink.NewHandle(unix.NETLINK_ROUTE); return err })
	return h, err
}

// podEnd is the pod's end of the veth, and the socket in the pod's namespace that it is configured over.
type podEnd struct {
	*netlink.Handle
	link netlink.Link
}

// enterPod opens the socket and writes the settings, in one visit to the namespace.
func enterPod(pod *podns.Namespace, ifname string, a *addressing) (*podEnd, error) {
	var h *netlink.Handle
	err := pod.Do(func() (err error) {
		if h, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		return podSettings(ifname, a)
	})
	if h == nil {
		return nil, err
	}
	e := &podEnd{Handle: h}
	if err == nil {
		e.link, err = h.LinkByName(ifname)
	}
	if err != nil {
		h.Close()
		return nil, fmt.Errorf("%s in the pod: %w", ifname, err)
	}
	return e, nil
}

// configure gives the pod's end its addresses, sets it up and adds the routes.
func (e *podEnd) configure(a *addressing, c *config) error {
	for _, addr := range a.addrs {
		if err := addAddr(e.Handle, e.link, addr.prefix, c.EnableDAD); err != nil {
			return err
		}
	}
	if err := e.LinkSetUp(e.link); err != nil {
		return fmt.Errorf("set %s in the pod up: %w", e.link.Attrs().Name, err)
	}
	if c.EnableDAD {
		if err := settle(e.Handle, e.link); err != nil {
			return err
		}
	}
	for _, r := range a.routes {
		if err := addRoute(e.Handle, e.link, r, a); err != nil {
			return err
		}
	}
	return nil
}

// announce tells the neighbours whose the addresses are now: they may remember a pod that had them before. The kernel does
// that, as podSettings asked it to, whenever the MAC address is set. It must wait for the bridge's port; and a packet
// socket of our own would take an RCU grace period to close, more than all the rest of an ADD.
func (e *podEnd) announce(mac net.HardwareAddr) error {
	if err := e.LinkSetHardwareAddr(e.link, mac); err != nil {
		return fmt.Errorf("announce the pod's addresses: %w", err)
	}
	return nil
}

// podSettings writes what netlink cannot: IPv6 for a pod whose runtime switched it off, IPv6 addresses that outlive the
// interface's being set down, and that changes are announced. Only the last may be refused by a read-only /proc/sys.
func podSettings(ifname string, a *addressing) error {
	families := map[bool]bool{}
	for _, addr := range a.addrs {
		families[addr.prefix.Addr().Is4()] = true
	}
	for _, s := range []struct {
		is4         bool
		path, value string
		needed      bool
	}{
		{true, "net/ipv4/conf/" + ifname + "/arp_notify", "1", false},
		{false, "net/ipv6/conf/lo/disable_ipv6", "0", true},
		{false, "net/ipv6/conf/" + ifname + "/disable_ipv6", "0", true},
		{false, "net/ipv6/conf/" + ifname + "/keep_addr_on_down", "1", true},
		{false, "net/ipv6/conf/" + ifname + "/ndisc_notify", "1", false},
	} {
		if !families[s.is4] {
			continue
		}
		if err := (device.Setting{Path: s.path, Value: s.value}).Write(); err != nil && s.needed {
			return fmt.Errorf("setting for the pod's IPv6 addresses: %w", err)
		}
	}
	return nil
}

// addRoute adds one of IPAM's routes, over the family's gateway if it names none.
func addRoute(h *netlink.Handle, link netlink.Link, r *types.Route, a *addressing) error {
	route := routeOf(r, a)
	route.LinkIndex = link.Attrs().Index
	err := h.RouteAdd(route)
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		return protocol.Errorf(protocol.CodeConfig, "route %s: the gateway %s is in none of the pod's networks: correct ipam.routes or the range's gateway", &r.Dst, route.Gw)
	}
	if err != nil {
		return fmt.Errorf("add route %s via %s in the pod: %w", &r.Dst, route.Gw, err)
	}
	return nil
}

func routeOf(r *types.Route, a *addressing) *netlink.Route {
	dst := prefixOf(r.Dst)
	route := &netlink.Route{Dst: ipNet(dst.Masked()), Gw: r.GW, Priority: r.Priority, MTU: r.MTU, AdvMSS: r.AdvMSS}
	if len(r.GW) == 0 {
		if g := a.gatewayFor(dst.Addr().Is4()); g.IsValid() {
			route.Gw = g.AsSlice()
		} else {
			route.Scope = netlink.SCOPE_LINK
		}
	}
	if r.Table != nil {
		route.Table = *r.Table
	}
	if r.Scope != nil {
		route.Scope = netlink.Scope(*r.Scope)
	}
	return route
}
