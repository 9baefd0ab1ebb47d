package bridge

import (
	"errors"
	"slices"

	"github.com/podnet/podnet/cmd/cni/internal/spoof"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// checkPod looks at both ends of the veth, and at addresses and routes in the pod.
func (i *inspection) checkPod() error {
	pod, err := openPod(i.Request)
	if err != nil {
		return err
	}
	defer pod.Close()
	p, err := dialPod(pod)
	if err != nil {
		return err
	}
	defer p.Close()
	inside, err := p.LinkByName(i.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		i.addf("the interface is gone")
		return nil
	}
	if err != nil {
		return err
	}
	if err := i.checkEnds(pod, inside); err != nil || i.DisableContainerInterface {
		return err
	}
	if !inside.Up() {
		i.addf("it is down")
	}
	if err := i.checkNeighbours(inside); err != nil {
		return err
	}
	return i.checkLayer3(p, inside)
}

// checkNeighbours looks for entries that have the host send the pod's packets to another MAC for
// good. Any other entry gives way to what the pod says of itself.
func (i *inspection) checkNeighbours(inside *netlink.Link) error {
	if !i.IsGateway || len(i.addrs.addrs) == 0 {
		return nil
	}
	link, err := i.gatewayLink(i.bridge)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // checkHost has said so
	}
	if err != nil {
		return err
	}
	addrs := i.addrs.hosts()
	entries, err := i.host.Neighbours(link.Index, addrs)
	if err != nil {
		return err
	}
	for n, e := range entries {
		if e != nil && e.Lasting() && e.MAC.String() != inside.MAC.String() {
			i.addf("the host sends packets for %s to %s, and its MAC address is %s (ip neigh del %s dev %s)",
				addrs[n], e.MAC, inside.MAC, addrs[n], link.Name)
		}
	}
	return nil
}

// checkEnds looks at the pod's end and whether it leads to a port of the bridge that works.
func (i *inspection) checkEnds(pod *netns.Namespace, inside *netlink.Link) error {
	mac := inside.MAC.String()
	for _, in := range i.prev.Interfaces {
		if in.Name == i.IfName && in.Sandbox != "" && in.Mac != "" && in.Mac != mac {
			i.addf("its MAC address is %s, not %s", mac, in.Mac)
		}
	}
	port, err := i.portOf(i.bridge, pod, inside)
	if err == nil && port != nil && i.MACSpoofChk {
		guarded, err := spoof.Guarded(i.ContainerID, i.IfName, port.Name, inside.MAC)
		if err != nil {
			return err
		}
		if !guarded {
			i.addf("macspoofchk lets it send from any address")
		}
	}
	switch {
	case err != nil:
		return err
	case port == nil:
		i.addf("it is not connected to the bridge %s", i.bridge.Name)
	case !port.Up():
		i.addf("the host's end %s is down (ip link set %s up)", port.Name, port.Name)
	default:
		i.checkPort(port)
	}
	return nil
}

// checkPort looks at what the configuration asks of a port, and whether it passes packets.
func (i *inspection) checkPort(port *netlink.Link) {
	p := port.Port()
	if p.Blocked && port.OperUp() { // it is so of itself while the pod's end is down
		i.addf("the port %s of the bridge passes nothing (bridge link set dev %s state 3)",
			port.Name, port.Name)
	}
	if i.HairpinMode && !p.Hairpin {
		i.addf("hairpinMode of %s is off (bridge link set dev %s hairpin on)", port.Name, port.Name)
	}
	if i.PortIsolation && !p.Isolated {
		i.addf("portIsolation of %s is off (bridge link set dev %s isolated on)",
			port.Name, port.Name)
	}
}

// checkLayer3 looks for the addresses and routes, over a socket in the pod.
func (i *inspection) checkLayer3(p *netlink.Conn, inside *netlink.Link) error {
	have, err := addrsOf(p, inside)
	if err != nil {
		return err
	}
	var wanted []netlink.Route
	for _, addr := range i.addrs.addrs {
		if !slices.Contains(have, addr.prefix) {
			i.addf("the address %s is gone", addr.prefix)
		} else if !addr.prefix.IsSingleIP() {
			// The kernel makes the route to the network with the address.
			wanted = append(wanted, netlink.Route{Dst: addr.prefix.Masked(), Index: inside.Index})
		}
	}
	for _, r := range i.addrs.routes {
		wanted = append(wanted, routeOf(r, i.addrs, inside.Index))
	}
	return i.checkRoutes(p, inside, wanted)
}

// checkRoutes looks for routes in all tables: a plugin for policy routing moves them to one of its
// own.
func (i *inspection) checkRoutes(p *netlink.Conn, inside *netlink.Link, wanted []netlink.Route) error {
	if len(wanted) == 0 {
		return nil
	}
	routes4, err := p.Routes(netlink.IPv4, 0, inside.Index)
	if err != nil {
		return err
	}
	routes6, err := p.Routes(netlink.IPv6, 0, inside.Index)
	if err != nil {
		return err
	}
	routes := slices.Concat(routes4, routes6)
	for _, want := range wanted {
		if !want.InAnyTable(routes) {
			i.addf("the route to %s%s is gone", want.Dst, via(want))
		}
	}
	return nil
}

func via(r netlink.Route) string {
	if !r.Gateway.IsValid() {
		return ""
	}
	return " via " + r.Gateway.String()
}
