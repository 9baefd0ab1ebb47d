package bridge

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/podns"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// dialPod opens a netlink socket in the pod's namespace.
func dialPod(pod *podns.Namespace) (h *netlink.Handle, err error) {
	err = pod.Do(func() error { h, err = netlink.NewHandle(unix.NETLINK_ROUTE); return err })
	return h, err
}

// configurePod gives the pod's interface its addresses, sets it up and adds the routes.
func configurePod(pod *podns.Namespace, ifname string, a *addressing, c *config) error {
	var h *netlink.Handle
	err := pod.Do(func() (err error) {
		if h, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
			return err
		}
		return podSettings(ifname, a)
	})
	if h != nil {
		defer h.Close()
	}
	if err != nil {
		return err
	}
	link, err := h.LinkByName(ifname)
	if err != nil {
		return fmt.Errorf("%s in the pod: %w", ifname, err)
	}
	for _, addr := range a.addrs {
		if err := addAddr(h, link, addr.prefix, c.EnableDAD); err != nil {
			return err
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s in the pod up: %w", ifname, err)
	}
	if c.EnableDAD {
		if err := settle(h, link); err != nil {
			return err
		}
	}
	for _, r := range a.routes {
		if err := addRoute(h, link, r, a); err != nil {
			return err
		}
	}
	return nil
}

// podSettings writes what netlink cannot: IPv6 for a pod whose runtime switched it off, and addresses that outlive the
// interface's being set down.
func podSettings(ifname string, a *addressing) error {
	for _, addr := range a.addrs {
		if addr.prefix.Addr().Is4() {
			continue
		}
		for _, s := range []struct{ link, setting, value string }{
			{"lo", "disable_ipv6", "0"},
			{ifname, "disable_ipv6", "0"},
			{ifname, "keep_addr_on_down", "1"},
		} {
			if err := writeSysctl(filepath.Join("net/ipv6/conf", s.link, s.setting), s.value); err != nil {
				return fmt.Errorf("the pod has an IPv6 address, and IPv6 cannot be switched on in it: %w", err)
			}
		}
		return nil
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

const (
	dadTimeout  = 5 * time.Second
	portTimeout = 3 * time.Second
)

// settle waits until duplicate address detection has passed the addresses.
func settle(h *netlink.Handle, link netlink.Link) error {
	return poll(dadTimeout, func() (bool, error) {
		list, err := h.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return false, err
		}
		for _, a := range list {
			addr, _ := netip.AddrFromSlice(a.IP)
			switch {
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				return false, protocol.Errorf(protocol.CodeUnavailable, "another host has the address %s", addr)
			case a.Flags&unix.IFA_F_TENTATIVE != 0 && !addr.IsLinkLocalUnicast():
				return false, nil
			}
		}
		return true, nil
	}, "the pod's addresses are still being checked for duplicates")
}

// awaitPort waits until the bridge forwards to the pod: the kernel sets a port going a moment after its peer is up.
func awaitPort(h *netlink.Handle, name string) error {
	return poll(portTimeout, func() (bool, error) {
		link, err := h.LinkByName(name)
		if err != nil {
			return false, fmt.Errorf("veth %s: %w", name, err)
		}
		return link.Attrs().OperState == netlink.OperUp, nil
	}, "the bridge's port "+name+" does not come up")
}

// poll asks until the answer is yes, less and less often.
func poll(timeout time.Duration, done func() (bool, error), otherwise string) error {
	deadline := time.Now().Add(timeout)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if ok, err := done(); err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return protocol.Errorf(protocol.CodeTryLater, "%s after %s", otherwise, timeout)
		}
		time.Sleep(pause)
	}
}
