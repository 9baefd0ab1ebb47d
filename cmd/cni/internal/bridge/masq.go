package bridge

import (
	"net/netip"
	"slices"

	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/masquerade"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

func (c *config) masquerades() bool { return c.IPMasq && c.layer3() }

// ensureMasquerade makes the rules of ipMasq be there, one for each of the pod's addresses. Made
// reports that they were not.
func ensureMasquerade(req *protocol.Request, c *config, a *addressing) (made bool, err error) {
	if !c.masquerades() {
		return false, nil
	}
	return masquerade.Ensure(c.IPMasqBackend, maskedPod(req), a.prefixes())
}

func maskedPod(req *protocol.Request) masquerade.Pod {
	return masquerade.Pod{Network: req.Network, ContainerID: req.ContainerID, IfName: req.IfName}
}

func (a *addressing) prefixes() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, addr := range a.addrs {
		prefixes = append(prefixes, addr.prefix)
	}
	return prefixes
}

// forgetMasquerade removes the pod's rules. The configuration may have asked for ipMasq when the
// pod was added; podnet's own never does.
func forgetMasquerade(req *protocol.Request, c *config) error {
	if c.Podnet != nil && !c.masquerades() {
		return nil
	}
	return masquerade.Remove(maskedPod(req), func(a netip.Addr) (bool, error) { return anotherInterface(req, c, a) })
}

// anotherInterface reports whether an address is one of another interface that the container has on
// the network.
func anotherInterface(req *protocol.Request, c *config, a netip.Addr) (bool, error) {
	if c.IPAM.Type != hostlocal.Type {
		return otherResult(req, c, a), nil
	}
	held, err := hostlocal.Held(req)
	if err != nil || slices.Contains(held, a) {
		return false, err
	}
	leases, err := hostlocal.Leases(req)
	for _, l := range leases {
		if l.Addr == a {
			return l.Owner.ContainerID == req.ContainerID && l.Owner.IfName != "" && l.Owner.IfName != req.IfName, err
		}
	}
	return false, err
}

// otherResult reports whether the result of this interface's ADD is at hand, and names other
// addresses.
func otherResult(req *protocol.Request, c *config, a netip.Addr) bool {
	prev, err := req.PrevResult(c.PrevResult)
	if err != nil || prev == nil || len(prev.IPs) == 0 {
		return false
	}
	for _, ip := range prev.IPs {
		if addr, ok := netip.AddrFromSlice(ip.Address.IP); ok && addr.Unmap() == a {
			return false
		}
	}
	return true
}
