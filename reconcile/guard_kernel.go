package reconcile

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// pastInKernel is the past of a node that has lost the topology in force, told by what podnet's
// devices and conflist still hold. The kernel knows no names: a peer is named by the entry of next,
// or of its removedNodes, that has its VTEP MAC. Where the kernel does not say, nothing has
// changed. own is this node's entry in next.
func pastInKernel(live *state.Live, next *schema.Topology, own *schema.Node) past {
	p := past{Percent: next.Safety.MaxDisruptedPeersPercent, Own: &schema.Node{Name: own.Name}}
	for _, l := range live.Links.Rows() {
		switch {
		case l.Type == "vxlan" && p.VXLAN.VNI == 0:
			p.VXLAN = schema.VXLAN{Name: l.Device, VNI: l.VNI, Port: l.Port}
		case l.Type == "bridge" && p.Bridge == "":
			p.Bridge = l.Device
		}
	}
	for _, c := range live.Conflists.Rows() {
		p.CNI = cmp.Or(p.CNI, c.Network())
	}
	gateways := map[bool][]netip.Prefix{}
	for _, a := range live.Addrs.Rows() {
		if a.Device == p.Bridge {
			gateways[a.Prefix.Addr().Is4()] = append(gateways[a.Prefix.Addr().Is4()], a.Prefix.Masked())
		}
	}
	p.Own.PodCIDRs = ranges(gateways, own.PodCIDRs)
	p.Peers = peersInKernel(live, next, own).peers
	return p
}

// kernelPeers are the peers that have an FDB entry, ordered by ip, and whose each object is.
type kernelPeers struct {
	peers []*schema.Node
	of    map[state.Key]*schema.Node
}

// callByIP names those that the kernel alone knows.
func (k kernelPeers) callByIP() kernelPeers {
	for _, p := range k.peers {
		p.Name = title(p)
	}
	return k
}

func peersInKernel(live *state.Live, next *schema.Topology, own *schema.Node) kernelPeers {
	entries, names := byMAC(next)
	macs := neighbourMACs(live)
	carried := carriedRanges(live, macs)
	var peers []*schema.Node
	at, of := map[state.MAC]*schema.Node{}, map[state.Key]*schema.Node{}
	for _, e := range live.FDB.Rows() {
		entry := entries[e.MAC]
		switch {
		case e.MAC == state.MAC{} || !e.Dst.IsValid():
			continue
		case at[e.MAC] != nil: // a second way to one peer
			if entry != nil && entry.IP == e.Dst {
				at[e.MAC].IP = e.Dst
			}
			continue
		}
		peer := &schema.Node{Name: names[e.MAC], IP: e.Dst, VTEPMAC: e.MAC}
		if entry != nil {
			peer.PodCIDRs = ranges(carried[e.MAC], entry.PodCIDRs)
		}
		at[e.MAC], peers = peer, append(peers, peer)
	}
	slices.SortFunc(peers, func(a, b *schema.Node) int { return a.IP.Compare(b.IP) })
	belongs := func(key state.Key, mac state.MAC) {
		if peer := at[mac]; peer != nil {
			of[key] = peer
		}
	}
	for _, e := range live.FDB.Rows() {
		belongs(e.Key(), e.MAC)
	}
	for _, n := range live.Neighs.Rows() {
		belongs(n.Key(), n.MAC)
	}
	for _, r := range live.Routes.Rows() {
		belongs(r.Key(), macs[r.Via])
	}
	return kernelPeers{peers, of}
}

// byMAC finds the entries and the names of a topology by VTEP MAC; of nodes that left, the derived
// one is all there is.
func byMAC(t *schema.Topology) (map[state.MAC]*schema.Node, map[state.MAC]string) {
	entries, names := map[state.MAC]*schema.Node{}, map[state.MAC]string{}
	for _, name := range t.RemovedNodes {
		names[schema.DeriveVTEPMAC(t.Name, name)] = name
	}
	for i := range t.Nodes {
		entries[t.Nodes[i].VTEPMAC], names[t.Nodes[i].VTEPMAC] = &t.Nodes[i], t.Nodes[i].Name
	}
	return entries, names
}

func neighbourMACs(live *state.Live) map[netip.Addr]state.MAC {
	macs := make(map[netip.Addr]state.MAC, live.Neighs.Len())
	for _, n := range live.Neighs.Rows() {
		macs[n.IP] = n.MAC
	}
	return macs
}

// carriedRanges are the destinations of podnet's routes by the MAC of their next hop, and by
// whether they are IPv4.
func carriedRanges(live *state.Live, macs map[netip.Addr]state.MAC) map[state.MAC]map[bool][]netip.Prefix {
	all := map[state.MAC]map[bool][]netip.Prefix{}
	for _, r := range live.Routes.Rows() {
		mac, known := macs[r.Via]
		if !known {
			continue
		}
		if all[mac] == nil {
			all[mac] = map[bool][]netip.Prefix{}
		}
		is4 := r.Dst.Addr().Is4()
		all[mac][is4] = append(all[mac][is4], r.Dst)
	}
	return all
}

// ranges is what a node had by the kernel's word: a wanted range that is among those of its family,
// or whose family the kernel says nothing of, has not changed.
func ranges(live map[bool][]netip.Prefix, wanted []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	for _, is4 := range []bool{true, false} {
		i := slices.IndexFunc(wanted, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
		switch had := live[is4]; {
		case i >= 0 && (len(had) == 0 || slices.Contains(had, wanted[i])):
			out = append(out, wanted[i])
		case len(had) > 0:
			out = append(out, had[0])
		}
	}
	return out
}
