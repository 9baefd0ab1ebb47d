package bridge

import (
	"net/netip"
	"slices"

	"github.com/podnet/podnet/cmd/cni/internal/masquerade"
)

func (c *config) masquerades() bool { return c.IPMasq && c.layer3() }

// ensureMasquerade makes the rules of ipMasq be there, one for each of the pod's addresses. Made
// reports that they were not.
func (c *call) ensureMasquerade(a *addressing) (made bool, err error) {
	if !c.masquerades() {
		return false, nil
	}
	return masquerade.Ensure(c.IPMasqBackend, c.maskedPod(), a.prefixes())
}

func (c *call) maskedPod() masquerade.Pod {
	return masquerade.Pod{Network: c.Network, ContainerID: c.ContainerID, IfName: c.IfName}
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
func (c *call) forgetMasquerade() error {
	if c.Podnet != nil && !c.masquerades() {
		return nil
	}
	return masquerade.Remove(c.maskedPod(), c.anotherInterface)
}

// anotherInterface reports whether an address is one of another interface that the container has on
// the network.
func (c *call) anotherInterface(a netip.Addr) (bool, error) {
	if c.local == nil {
		return c.otherResult(a), nil
	}
	held, err := c.local.Held()
	if err != nil || slices.Contains(held, a) {
		return false, err
	}
	leases, err := c.local.Leases()
	for _, l := range leases {
		if l.Addr == a {
			o := l.Owner
			return o.ContainerID == c.ContainerID && o.IfName != "" && o.IfName != c.IfName, err
		}
	}
	return false, err
}

// otherResult reports whether the result of this interface's ADD is at hand, and names other
// addresses.
func (c *call) otherResult(a netip.Addr) bool {
	prev, err := c.PrevResult()
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
