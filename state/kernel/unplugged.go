package kernel

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
	vishvananda "github.com/vishvananda/netlink"
)

// mostUnplugged bounds the namespaces that a pass looks into: a host that runs another network as
// well has a veth without a bridge for each of its pods.
const mostUnplugged = 64

// unplugged reports as conflicts the veths that other bridge plugins made, that lead to a namespace
// with one of this node's pod addresses, and that have no bridge, as after their bridge was
// deleted. It looks into at most mostUnplugged namespaces a pass. Only the address tells whose pod
// it is, so podnet does not repair them.
func (n *Node) unplugged(want *state.Set) (found []state.Conflict) {
	bridge, subnets := bridgeOf(want)
	looked := 0
	for _, l := range n.Links {
		a := l.Attrs()
		if !leadsAway(l) || looked == mostUnplugged {
			continue
		}
		looked++
		end, err := n.End(HostVeth{Device: a.Name, Peer: a.ParentIndex, Namespace: int32(a.NetNsID)})
		if err != nil {
			continue // the pod has gone, or may not be looked at
		}
		own := slices.IndexFunc(end.Addrs, func(p netip.Prefix) bool {
			return slices.ContainsFunc(subnets, func(s netip.Prefix) bool { return s.Contains(p.Addr()) })
		})
		if own < 0 {
			continue
		}
		found = append(found, state.Conflict{
			Key:    state.Port{Device: a.Name}.Key(),
			Owner:  fmt.Sprintf("the veth of a pod that has %s, made by another bridge plugin, is no port of a bridge: the pod talks to nobody", end.Addrs[own].Addr()),
			Remedy: fmt.Sprintf("ip link set %s master %s", shell.Quote(a.Name), shell.Quote(bridge)),
		})
	}
	slices.SortFunc(found, func(a, b state.Conflict) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	return found
}

// bridgeOf is the pods' bridge and the subnets that it has an address of.
func bridgeOf(want *state.Set) (name string, subnets []netip.Prefix) {
	for _, l := range want.Links.Rows() {
		if l.Type == "bridge" {
			name = l.Device
		}
	}
	for _, a := range want.Addrs.Rows() {
		if a.Device == name {
			subnets = append(subnets, a.Prefix.Masked())
		}
	}
	return name, subnets
}

// leadsAway reports whether a link is a veth whose peer is in another namespace, has no master, and
// is not in a group of podnet's.
func leadsAway(l vishvananda.Link) bool {
	a := l.Attrs()
	return l.Type() == "veth" && a.MasterIndex == 0 && a.NetNsID >= 0 && a.Group != device.GroupPod &&
		a.Group != device.GroupDeleting
}
