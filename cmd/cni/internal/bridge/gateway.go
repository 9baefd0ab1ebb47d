package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/rtnl"
	"github.com/podnet/podnet/state/device"
)

// completeGateways fills in the gateways that IPAM left out and, for isDefaultGateway, a default route for each family
// that has none, or the gateway of one that names none.
func (a *addressing) completeGateways(c *config) {
	if !c.IsGateway {
		return
	}
	for i := range a.addrs {
		addr := &a.addrs[i]
		if !addr.gateway.IsValid() {
			addr.gateway = addr.prefix.Masked().Addr().Next()
		}
		if c.IsDefaultGateway {
			a.completeDefaultRoute(addr.gateway)
		}
	}
}

func (a *addressing) completeDefaultRoute(gateway netip.Addr) {
	everything := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if gateway.Is4() {
		everything = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	for _, r := range a.routes {
		if inMain := r.Table == nil || *r.Table == 0 || *r.Table == unix.RT_TABLE_MAIN; !inMain || prefixOf(r.Dst) != everything {
			continue
		}
		if len(r.GW) == 0 && !onLink(r) {
			r.GW = gateway.AsSlice()
		}
		return
	}
	a.routes = append(a.routes, &types.Route{Dst: *ipNet(everything), GW: gateway.AsSlice()})
}

// gatewayFor is the address that a route without one goes over: the first gateway of its family, if there is one.
func (a *addressing) gatewayFor(is4 bool) netip.Addr {
	for _, addr := range a.addrs {
		if addr.gateway.IsValid() && addr.gateway.Is4() == is4 {
			return addr.gateway
		}
	}
	return netip.Addr{}
}

// gateways are the addresses that the bridge has to have.
func (a *addressing) gateways() []netip.Prefix {
	var all []netip.Prefix
	for _, addr := range a.addrs {
		if g := netip.PrefixFrom(addr.gateway, addr.prefix.Bits()); addr.gateway.IsValid() && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}

// ensureGateway gives the bridge its addresses and has the host forward. It writes nothing that is right already.
func ensureGateway(h *rtnl.Conn, br *rtnl.Link, c *config, wanted []netip.Prefix) error {
	have, err := addrsOf(h, br)
	if err != nil {
		return fmt.Errorf("list addresses of %s: %w", br.Name, err)
	}
	for _, w := range wanted {
		if slices.Contains(have, w) {
			continue
		}
		for _, old := range have {
			if slices.Contains(wanted, old) || !conflicts(old, w) {
				continue
			}
			if !c.ForceAddress {
				return protocol.Errorf(protocol.CodeConflict, "%s has the address %s, which is not %s: remove it (ip addr del %s dev %s), or set forceAddress",
					br.Name, old, w, old, br.Name)
			}
			if err := h.Do(rtnl.DelAddr(br.Index, old)); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
				return fmt.Errorf("remove address %s from %s: %w", old, br.Name, err)
			}
		}
		if err := h.Do(addAddr(br.Index, w, c.EnableDAD)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add address %s to %s: %w", w, br.Name, err)
		}
	}
	return ensureForwarding(wanted)
}

// conflicts: a bridge has one IPv4 address but for those that are wanted, and no two IPv6 networks that overlap.
func conflicts(a, b netip.Prefix) bool {
	return a.Addr().Is4() && b.Addr().Is4() || a.Overlaps(b)
}

func addAddr(index int, p netip.Prefix, dad bool) *rtnl.Message {
	if p.Addr().Is6() && !dad {
		return rtnl.AddAddr(index, p, unix.IFA_F_NODAD)
	}
	return rtnl.AddAddr(index, p, 0)
}

func addrsOf(h *rtnl.Conn, link *rtnl.Link) ([]netip.Prefix, error) {
	list, err := h.Addrs(link.Index)
	var addrs []netip.Prefix
	for _, a := range list {
		addrs = append(addrs, a.Prefix)
	}
	return addrs, err
}

const (
	forward4 = "net/ipv4/ip_forward"
	forward6 = "net/ipv6/conf/all/forwarding"
)

func ensureForwarding(families []netip.Prefix) error {
	for _, p := range families {
		if p.Addr().Is4() {
			if err := (device.Setting{Path: forward4, Value: "1"}).Write(); err != nil {
				return fmt.Errorf("switch on IPv4 forwarding: %w", err)
			}
			continue
		}
		if err := forwardIPv6(); err != nil {
			return fmt.Errorf("switch on IPv6 forwarding: %w", err)
		}
	}
	return nil
}

// forwardIPv6 keeps the routes that the host has from router advertisements, which a host that forwards ignores and drops
// unless the link says 2. What links to come begin with stays: they would believe any guest that poses as a router.
func forwardIPv6() error {
	if on, err := isOne(forward6); err != nil || on {
		return err
	}
	settings, err := filepath.Glob("/proc/sys/net/ipv6/conf/*/accept_ra")
	if err != nil {
		return err
	}
	for _, path := range settings {
		if link := filepath.Base(filepath.Dir(path)); link == "all" || link == "default" {
			continue
		}
		path = strings.TrimPrefix(path, "/proc/sys/")
		on, err := isOne(path)
		if err == nil && on {
			err = (device.Setting{Path: path, Value: "2"}).Write()
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // the link has gone
			return err
		}
	}
	return (device.Setting{Path: forward6, Value: "1"}).Write()
}

func isOne(path string) (bool, error) {
	value, err := device.Read(path)
	return value == "1", err
}
