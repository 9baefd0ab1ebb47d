package bridge

import (
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// addressing is the pod's layer 3 as IPAM decided it, nothing for a network without IPAM.
type addressing struct {
	addrs  []address
	routes []*types.Route
	dns    types.DNS

	reclaimed []netip.Addr // freed just now, of pods that have gone without a DEL
}

type address struct {
	prefix  netip.Prefix
	gateway netip.Addr // not valid if there is none
}

// allocate asks IPAM: host-local in this process, any other plugin by executing it. mac is the one of
// the pod's interface. What it gave is taken back by undo.
func (c *call) allocate(mac net.HardwareAddr, undo *rollback) (*addressing, error) {
	switch {
	case !c.layer3():
		return &addressing{}, nil
	case c.delegates():
		return c.allocateElsewhere(undo)
	}
	return c.allocateHere(mac, undo)
}

func (c *call) allocateHere(mac net.HardwareAddr, undo *rollback) (*addressing, error) {
	got, err := c.local.Allocate([6]byte(mac), "MAC")
	if err != nil {
		return nil, err
	}
	undo.push(got.Undo)
	a := &addressing{routes: got.Routes, dns: got.DNS, reclaimed: got.Reclaimed()}
	for _, g := range got.Grants {
		a.addrs = append(a.addrs, address{g.Addr, g.Gateway})
	}
	return a, nil
}

// allocateElsewhere has another plugin allocate. If its ADD fails, its DEL is called.
func (c *call) allocateElsewhere(undo *rollback) (*addressing, error) {
	undo.push(func() error { return delegate.Del(c.Request, c.ipam) })
	r, err := delegate.Add(c.Request, c.ipam)
	if err == nil && len(r.IPs) == 0 {
		err = protocol.Errorf(protocol.CodeConfig, "plugin %s gave no address", c.ipam)
	}
	if err != nil {
		return nil, err
	}
	return &addressing{addrs: addressesOf(r), routes: r.Routes, dns: r.DNS}, nil
}

func addressesOf(r *current.Result) []address {
	var addrs []address
	for _, ip := range r.IPs {
		gateway, _ := netip.AddrFromSlice(ip.Gateway)
		addrs = append(addrs, address{prefixOf(ip.Address), gateway.Unmap()})
	}
	return addrs
}

func prefixOf(n net.IPNet) netip.Prefix {
	a, _ := netip.AddrFromSlice(n.IP)
	bits, _ := n.Mask.Size()
	return netip.PrefixFrom(a.Unmap(), bits)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
