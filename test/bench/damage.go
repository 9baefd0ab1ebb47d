package main

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// routeProtocol is that of podnet's routes.
const routeProtocol = 72

// target is an object that can be deleted: made is how the kernel announces that it is there again.
type target struct {
	kind, made string
	request    func(indices) request
}

// indices are the devices' numbers, which a new device of the same name does not inherit.
type indices map[string]uint32

// devices looks them up as they are now.
func devices(n *lab.Node) (indices, error) {
	found := indices{}
	err := n.Do(func() error {
		links, err := net.Interfaces()
		for _, l := range links {
			found[l.Name] = uint32(l.Index)
		}
		return err
	})
	return found, err
}

// targets are a node's objects that its peers need, by kind.
func targets(n *lab.Node, t lab.Topology) map[string][]target {
	all := map[string][]target{}
	add := func(g target) { all[g.kind] = append(all[g.kind], g) }
	for _, p := range t.Peers(n.Host) {
		mac := contract.VTEPMAC(t.Name, p.Name)
		add(fdbTarget(mac))
		for _, text := range p.PodCIDRs {
			cidr := netip.MustParsePrefix(text)
			via := cidr.Addr()
			if via.Is6() {
				via = contract.LinkLocal(mac)
			}
			add(routeTarget(cidr, via))
			add(neighTarget(via))
		}
	}
	for _, text := range t.Nodes[0].PodCIDRs {
		cidr := netip.MustParsePrefix(text)
		add(addrTarget(netip.PrefixFrom(cidr.Addr().Next(), cidr.Bits())))
	}
	add(target{"link", "link " + lab.VXLAN, func(at indices) request { return linkRequest(at[lab.VXLAN]) }})
	return all
}

func family(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// suffix tells the kinds of the two families apart.
func suffix(a netip.Addr) string {
	if a.Is4() {
		return " IPv4"
	}
	return " IPv6"
}

func routeTarget(cidr netip.Prefix, via netip.Addr) target {
	return target{"route" + suffix(via), "route " + cidr.String(), func(indices) request {
		r := newRequest(unix.RTM_DELROUTE, 0, family(via), byte(cidr.Bits()), 0, 0, unix.RT_TABLE_MAIN, routeProtocol,
			unix.RT_SCOPE_NOWHERE, 0, 0, 0, 0, 0)
		return r.attr(unix.RTA_DST, cidr.Addr().AsSlice()).attr(unix.RTA_GATEWAY, via.AsSlice()).
			number(unix.RTA_PRIORITY, contract.Metric(cidr))
	}}
}

func neighRequest(family byte, index uint32, flags byte) request {
	r := newRequest(unix.RTM_DELNEIGH, 0, family, 0, 0, 0)
	r = binary.NativeEndian.AppendUint32(r, index)
	return append(r, 0, 0, flags, 0)
}

func neighTarget(via netip.Addr) target {
	return target{"neigh" + suffix(via), "neigh " + via.String(), func(at indices) request {
		return neighRequest(family(via), at[lab.VXLAN], 0).attr(unix.NDA_DST, via.AsSlice())
	}}
}

func fdbTarget(mac string) target {
	return target{"fdb", "fdb " + mac, func(at indices) request {
		hw, _ := net.ParseMAC(mac) // our own
		return neighRequest(unix.AF_BRIDGE, at[lab.VXLAN], unix.NTF_SELF).attr(unix.NDA_LLADDR, hw)
	}}
}

func addrTarget(p netip.Prefix) target {
	return target{"addr" + suffix(p.Addr()), "addr " + p.String(), func(at indices) request {
		r := newRequest(unix.RTM_DELADDR, 0, family(p.Addr()), byte(p.Bits()), 0, 0)
		r = binary.NativeEndian.AppendUint32(r, at[lab.Bridge])
		return r.attr(unix.IFA_LOCAL, p.Addr().AsSlice()).attr(unix.IFA_ADDRESS, p.Addr().AsSlice())
	}}
}

func linkRequest(index uint32) request {
	r := newRequest(unix.RTM_DELLINK, 0, unix.AF_UNSPEC, 0, 0, 0)
	r = binary.NativeEndian.AppendUint32(r, index)
	return append(r, make([]byte, 8)...)
}
