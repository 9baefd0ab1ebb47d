package portmap

import (
	"net/netip"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// attachment returns what a call asks for, and the result of the plugins before, which is this
// plugin's too.
func (c *config) attachment(req *protocol.Request) (*attachment, *current.Result, error) {
	prev, err := req.PrevResult()
	if err != nil {
		return nil, nil, err
	}
	if prev == nil {
		return nil, nil, configError("prevResult is missing: " +
			"portmap goes behind the plugin that gives the pod its addresses, in the same list")
	}
	a, err := c.attach(ownerOf(req), addresses(prev, req.IfName))
	return a, prev, err
}

// attach returns what the configuration asks for, for a pod with these addresses.
func (c *config) attach(o owner, pod map[bool]netip.Prefix) (*attachment, error) {
	maps, err := c.mappings(pod)
	if err != nil {
		return nil, err
	}
	a := &attachment{owner: o, pod: pod, asked: c.PortMappings, settings: c.settings()}
	for _, m := range maps {
		a.forwards = append(a.forwards, forward{m, c.sources(pod[m.ipv6()])})
	}
	return a, nil
}

// addresses returns the pod's first address of either family, with its network. The key is whether
// it is IPv6. An address of an interface that is not the pod's does not count; one without an
// interface is the pod's.
func addresses(r *current.Result, ifname string) map[bool]netip.Prefix {
	found := map[bool]netip.Prefix{}
	for _, ip := range r.IPs {
		if ip == nil || isAnothers(r, ip.Interface, ifname) {
			continue
		}
		addr, ok := netip.AddrFromSlice(ip.Address.IP)
		if !ok {
			continue
		}
		addr = addr.Unmap()
		ones, size := ip.Address.Mask.Size()
		if size != addr.BitLen() {
			ones = addr.BitLen()
		}
		if _, there := found[addr.Is6()]; !there {
			found[addr.Is6()] = netip.PrefixFrom(addr, ones)
		}
	}
	return found
}

// isAnothers reports whether an index into the result's interfaces is of one that is not the pod's.
func isAnothers(r *current.Result, index *int, ifname string) bool {
	if index == nil || *index < 0 || *index >= len(r.Interfaces) {
		return false
	}
	in := r.Interfaces[*index]
	return in == nil || in.Name != ifname || in.Sandbox == ""
}
