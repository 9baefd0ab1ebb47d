package explain

import (
	"net/netip"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
	"github.com/podnet/podnet/state/sysctl"
	"golang.org/x/sys/unix"
)

// Survey reads what all packets of this node share.
func Survey(n *kernel.Node, v reconcile.View) (*Site, error) {
	s := &Site{View: v, MTU: state.MTU(v.Topology, v.Node, v.Facts), Forwards: map[bool]bool{},
		Firewall: map[bool]firewall.Filters{}, Unread: map[bool]error{}}
	var err error
	if s.Addrs, err = n.HostAddrs(); err != nil {
		return nil, err
	}
	s.Bridge, s.Tunnel = n.HostLink(v.Topology.Network.Bridge.Name), n.HostLink(v.Topology.Network.VXLAN.Name)
	if s.Tunnel.Index != 0 {
		s.MTU = s.Tunnel.MTU // it is what counts, be it right or wrong
	}
	s.Links = map[string]kernel.HostLink{}
	for _, a := range s.Addrs {
		s.Links[a.Link] = n.HostLink(a.Link)
	}
	// What the kernel goes by.
	for four, setting := range map[bool]string{true: "net/ipv4/conf/" + s.Bridge.Name + "/forwarding",
		false: "net/ipv6/conf/all/forwarding"} {
		s.Forwards[four] = sysctl.Is(setting, "1")
		s.Bridged = s.Bridged || firewall.BridgeFiltered(!four)
		if !s.speaks(four) {
			continue
		}
		s.Firewall[four], s.Unread[four] = n.Firewall.Filters(!four)
	}
	if four := v.Node.IP.Is4(); !s.speaks(four) { // the tunnel's packets are of the other family
		s.Firewall[four], s.Unread[four] = n.Firewall.Filters(!four)
	}
	return s, nil
}

func (s *Site) speaks(four bool) bool {
	for _, p := range s.Node.PodCIDRs {
		if p.Addr().Is4() == four {
			return true
		}
	}
	return false
}

// Look asks the kernel about all ways at once, as it would be asked by each packet.
func Look(n *kernel.Node, ways []*Trace) error {
	packets := make([]kernel.Packet, len(ways))
	for i, f := range ways {
		packets[i] = kernel.Packet{Src: f.From.Addr, Dst: f.To.Addr}
		packets[i].In = f.in()
	}
	routes, err := n.Routings(packets)
	if err != nil {
		return err
	}
	var peers []*Trace
	for i, f := range ways {
		f.Route = routes[i]
		switch f.To.Place {
		case Peer:
			peers = append(peers, f)
		case Outside, PeerHost, Nobody:
			if err := f.lookOutside(n); err != nil {
				return err
			}
		}
	}
	return lookPeers(n, peers)
}

// lookOutside finds the router, and the address that pods leave with.
func (f *Trace) lookOutside(n *kernel.Node) error {
	hop := f.To.Addr
	if f.Route.Via.IsValid() {
		hop = f.Route.Via
	}
	hops, err := n.Resolutions(f.Route.Device, []netip.Addr{hop})
	if err != nil {
		return err
	}
	f.Hop = hops[0]
	f.Hop.IP, f.Hop.Device = hop, f.Route.Device
	own, err := n.Routings([]kernel.Packet{{Dst: f.To.Addr}})
	if err == nil {
		f.Masquerade = own[0].Src
	}
	return err
}

// lookPeers asks for the entries of all peers, and for the way to their nodes.
func lookPeers(n *kernel.Node, ways []*Trace) error {
	if len(ways) == 0 {
		return nil
	}
	site := ways[0].Site
	hops, macs, outer := make([]netip.Addr, len(ways)), make([]state.MAC, len(ways)), make([]kernel.Packet, len(ways))
	for i, f := range ways {
		hops[i], macs[i] = f.wantRoute().Via, f.To.Node.VTEPMAC
		outer[i] = kernel.Packet{Src: site.Node.Sender(), Dst: f.To.Node.IP, Protocol: unix.IPPROTO_UDP}
		if !site.View.Facts.IPLocal {
			outer[i].Src = netip.Addr{}
		}
	}
	neighs, err := n.Resolutions(site.Tunnel.Name, hops)
	if err != nil {
		return err
	}
	fdb, err := n.Forwardings(site.Tunnel.Name, macs)
	if err != nil {
		return err
	}
	under, err := n.Routings(outer)
	if err != nil {
		return err
	}
	for i, f := range ways {
		f.Hop, f.FDB, f.Underlay = neighs[i], fdb[i], under[i]
		if own := f.connected(); own.IsValid() && (f.Underlay.Err != nil || f.Underlay.Via.IsValid()) {
			if f.Connected, err = n.HasRoute(own.Masked(), own.Link); err != nil {
				return err
			}
		}
	}
	return lookBeyond(n, ways)
}

// LookAgain asks once more for what changes by packets' being sent.
func LookAgain(n *kernel.Node, ways []*Trace) error {
	var peers []*Trace
	for _, f := range ways {
		if f.To.Place == Peer {
			peers = append(peers, f)
		}
	}
	return lookBeyond(n, peers)
}

// lookBeyond asks for the next hops on the underlay, device by device.
func lookBeyond(n *kernel.Node, ways []*Trace) error {
	by := map[string][]*Trace{}
	for _, f := range ways {
		by[f.Underlay.Device] = append(by[f.Underlay.Device], f)
	}
	for device, group := range by {
		hops := make([]netip.Addr, len(group))
		for i, f := range group {
			hops[i] = f.To.Node.IP
			if f.Underlay.Via.IsValid() {
				hops[i] = f.Underlay.Via
			}
		}
		found, err := n.Resolutions(device, hops)
		if err != nil {
			return err
		}
		for i, f := range group {
			f.Beyond = found[i]
			f.Beyond.IP = hops[i]
		}
	}
	return nil
}

// Visit reads a pod of this node: its end of the veth, and how it routes the destination, if a way
// into its namespace is found.
func Visit(n *kernel.Node, p pods.Pod, packet kernel.Packet) (*PodFacts, error) {
	f := &PodFacts{Pod: p}
	var err error
	if f.End, err = n.End(p.Veth); err != nil || f.End.Device == "" {
		return f, err
	}
	ns, found := pods.NamespaceOf(n, p.Veth)
	if !found {
		return f, nil
	}
	f.Namespace = ns.Path
	inside, err := ns.Open()
	if err != nil {
		return f, nil // seen, and not to be entered
	}
	defer inside.Close()
	routes, err := inside.Routings([]kernel.Packet{packet})
	if err == nil {
		f.Route = &routes[0]
	}
	return f, err
}
