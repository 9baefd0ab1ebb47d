package bridge

import (
	"errors"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/spoof"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// checkPod looks at both ends of the veth, and at addresses and routes in the pod.
func checkPod(f *findings, req *protocol.Request, c *config, h *netlink.Conn, br *netlink.Link, prev *current.Result, a *addressing) error {
	pod, err := openPod(req)
	if err != nil {
		return err
	}
	defer pod.Close()
	p, err := dialPod(pod)
	if err != nil {
		return err
	}
	defer p.Close()
	inside, err := p.LinkByName(req.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		f.addf("the interface is gone")
		return nil
	}
	if err != nil {
		return err
	}
	if err := checkEnds(f, req, c, h, br, pod, prev, inside); err != nil || c.DisableContainerInterface {
		return err
	}
	if !inside.Up() {
		f.addf("it is down")
	}
	if err := checkNeighbours(f, c, h, br, inside, a); err != nil {
		return err
	}
	return checkLayer3(f, p, inside, a)
}

// checkNeighbours looks for entries that have the host send the pod's packets to another MAC for
// good. Any other entry gives way to what the pod says of itself.
func checkNeighbours(f *findings, c *config, h *netlink.Conn, br, inside *netlink.Link, a *addressing) error {
	if !c.IsGateway || len(a.addrs) == 0 {
		return nil
	}
	link, err := c.gatewayLink(h, br)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // checkHost has said so
	}
	if err != nil {
		return err
	}
	addrs := a.hosts()
	entries, err := h.Neighbours(link.Index, addrs)
	if err != nil {
		return err
	}
	for i, e := range entries {
		if e != nil && e.Lasting() && e.MAC.String() != inside.MAC.String() {
			f.addf("the host sends packets for %s to %s, and its MAC address is %s (ip neigh del %s dev %s)", addrs[i], e.MAC, inside.MAC, addrs[i], link.Name)
		}
	}
	return nil
}

// checkEnds looks at the pod's end and whether it leads to a port of the bridge that works.
func checkEnds(f *findings, req *protocol.Request, c *config, h *netlink.Conn, br *netlink.Link, pod *netns.Namespace, prev *current.Result, inside *netlink.Link) error {
	mac := inside.MAC.String()
	for _, in := range prev.Interfaces {
		if in.Name == req.IfName && in.Sandbox != "" && in.Mac != "" && in.Mac != mac {
			f.addf("its MAC address is %s, not %s", mac, in.Mac)
		}
	}
	port, err := portOf(req, h, br, pod, inside)
	if err == nil && port != nil && c.MACSpoofChk {
		guarded, err := spoof.Guarded(req.ContainerID, req.IfName, port.Name, inside.MAC)
		if err != nil {
			return err
		}
		if !guarded {
			f.addf("macspoofchk lets it send from any address")
		}
	}
	switch {
	case err != nil:
		return err
	case port == nil:
		f.addf("it is not connected to the bridge %s", br.Name)
	case !port.Up():
		f.addf("the host's end %s is down (ip link set %s up)", port.Name, port.Name)
	default:
		checkPort(f, c, port)
	}
	return nil
}

// checkPort looks at what the configuration asks of a port, and whether it passes packets.
func checkPort(f *findings, c *config, port *netlink.Link) {
	p := port.Port()
	if p.Blocked && port.OperUp() { // it is so of itself while the pod's end is down
		f.addf("the port %s of the bridge passes nothing (bridge link set dev %s state 3)", port.Name, port.Name)
	}
	if c.HairpinMode && !p.Hairpin {
		f.addf("hairpinMode of %s is off (bridge link set dev %s hairpin on)", port.Name, port.Name)
	}
	if c.PortIsolation && !p.Isolated {
		f.addf("portIsolation of %s is off (bridge link set dev %s isolated on)", port.Name, port.Name)
	}
}

func checkLayer3(f *findings, p *netlink.Conn, inside *netlink.Link, a *addressing) error {
	have, err := addrsOf(p, inside)
	if err != nil {
		return err
	}
	var wanted []netlink.Route
	for _, addr := range a.addrs {
		if !slices.Contains(have, addr.prefix) {
			f.addf("the address %s is gone", addr.prefix)
		} else if network := addr.prefix.Masked(); !addr.prefix.IsSingleIP() { // which the kernel makes with the address
			wanted = append(wanted, netlink.Route{Dst: network, Index: inside.Index})
		}
	}
	for _, r := range a.routes {
		wanted = append(wanted, routeOf(r, a, inside.Index))
	}
	return checkRoutes(f, p, inside, wanted)
}

// checkRoutes looks for routes in all tables: a plugin for policy routing moves them to one of its
// own.
func checkRoutes(f *findings, p *netlink.Conn, inside *netlink.Link, wanted []netlink.Route) error {
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
			f.addf("the route to %s%s is gone", want.Dst, via(want))
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
