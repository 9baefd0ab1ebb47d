package bridge

import (
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// ownPart returns what a result says of this attachment's interface. The result is the one of all
// plugins of the network: others may have added interfaces, with addresses and routes, which are
// for them to judge.
func (c *call) ownPart(prev *current.Result) *addressing {
	a := &addressing{}
	others := false
	own := func(i *int) bool {
		if i == nil || *i < 0 || *i >= len(prev.Interfaces) {
			return true // older results do not tell
		}
		in := prev.Interfaces[*i]
		return in.Name == c.IfName && in.Sandbox != ""
	}
	for i, in := range prev.Interfaces {
		others = others || in.Sandbox != "" && !own(&i)
	}
	for _, ip := range prev.IPs {
		if own(ip.Interface) {
			a.addrs = append(a.addrs, addressesOf(&current.Result{IPs: []*current.IPConfig{ip}})...)
		}
	}
	for _, r := range prev.Routes {
		if !others || a.hasGateway(r) {
			a.routes = append(a.routes, r)
		}
	}
	return a
}

// hasGateway reports whether a route leads to a gateway in one of the networks; one without a
// gateway may be anybody's.
func (a *addressing) hasGateway(r *types.Route) bool {
	return slices.ContainsFunc(a.addrs, func(addr address) bool {
		return ipNet(addr.prefix).Contains(r.GW)
	})
}

// checkIPAM asks whoever gave the addresses. One that is neither leased nor in a range of the
// network's is another plugin's, which put it on the interface too, unless nothing is leased.
func (c *call) checkIPAM(a *addressing) error {
	if c.delegates() {
		return delegate.Check(c.Request, c.ipam)
	}
	if !c.layer3() {
		return nil
	}
	held, err := c.local.Held()
	if err != nil {
		return err
	}
	sets, err := c.local.Sets()
	if err != nil {
		return err
	}
	for _, addr := range a.hosts() {
		ranged := false
		for _, r := range slices.Concat(sets...) {
			ranged = ranged || r.Subnet.Contains(addr)
		}
		if !slices.Contains(held, addr) && (ranged || len(held) == 0) {
			return protocol.Errorf(protocol.CodeChanged,
				"container %s has no lease for %s: another pod may get the address; "+
					"DEL and ADD it again", c.ContainerID, addr)
		}
	}
	return nil
}
