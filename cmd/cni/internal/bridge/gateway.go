package bridge

import (
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// completeGateways fills in the gateways that IPAM left out and, for isDefaultGateway, a default
// route for each family that has none, or the gateway of one that names none.
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
		inMain := r.Table == nil || *r.Table == 0 || *r.Table == unix.RT_TABLE_MAIN
		if !inMain || prefixOf(r.Dst) != everything {
			continue
		}
		if len(r.GW) == 0 && !onLink(r) {
			r.GW = gateway.AsSlice()
		}
		return
	}
	a.routes = append(a.routes, &types.Route{Dst: *ipNet(everything), GW: gateway.AsSlice()})
}

// gatewayFor returns the address that a route without a gateway goes over: the first gateway of
// its family, if there is one.
func (a *addressing) gatewayFor(is4 bool) netip.Addr {
	for _, addr := range a.addrs {
		if addr.gateway.IsValid() && addr.gateway.Is4() == is4 {
			return addr.gateway
		}
	}
	return netip.Addr{}
}

// gateways returns the addresses that the bridge has to have.
func (a *addressing) gateways() []netip.Prefix {
	var all []netip.Prefix
	for _, addr := range a.addrs {
		g := netip.PrefixFrom(addr.gateway, addr.prefix.Bits())
		if addr.gateway.IsValid() && !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}
