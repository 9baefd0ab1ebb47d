package explain

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
)

// bridgeHop is the first of a packet that the node itself sends.
func (f *Facts) bridgeHop() Hop {
	b := f.Bridge
	h := Hop{Kind: "bridge", Detail: fmt.Sprintf("%s up mtu %d, from %s", b.Name, b.MTU, f.From.Addr)}
	switch {
	case b.Index == 0:
		h.Detail = b.Name + " is gone"
		return h.wrong("a bridge "+b.Name, "the bridge is gone, and every pod's port with it", apply)
	case !b.Up:
		h.Detail = b.Name + " is down"
		return h.wrong("up", "somebody has set the bridge down", apply)
	case !f.hasAddr():
		h.Detail = fmt.Sprintf("%s is on no link of this host", f.From.Addr)
		return h.wrong(f.From.Addr.String(), "the bridge has lost the pods' gateway address", apply)
	}
	return h
}

func (f *Facts) hasAddr() bool {
	for _, p := range f.Addrs {
		if p.Addr() == f.From.Addr {
			return true
		}
	}
	return false
}

// podHop is the inside of a pod.
func (f *Facts) podHop(p *PodFacts) Hop {
	h := Hop{Kind: "pod", Detail: fmt.Sprintf("%s up mtu %d", p.End.Device, p.End.MTU)}
	a := f.addrOf(p)
	switch {
	case p.Veth.Device == "":
		h.Detail = "its host veth is gone"
		return h.wrong(device.VethName(f.Topology.Network.CNI.Name, p.Owner.ContainerID, p.Owner.IfName),
			"the pod has a lease and no veth: it has ended, or its veth was deleted", "podnetctl gc")
	case p.End.Device == "":
		h.Detail = "the other end of " + p.Veth.Device + " cannot be seen"
		return h
	case !p.End.Up:
		h.Detail = p.End.Device + " is down"
		return h.wrong("up", fmt.Sprintf("%s in the pod was set down", p.End.Device), f.revive(p, a))
	case !p.End.HasAddr(a):
		h.Detail = fmt.Sprintf("%s has no %s", p.End.Device, a)
		return h.wrong(a.String(), "the pod has lost its address", f.inside(p, fmt.Sprintf("ip addr add %s/%d dev %s", a, f.gatewayOf(a).Bits(), shell.Quote(p.End.Device))))
	}
	if p.Route != nil {
		h = f.podRoute(h, p, a)
	}
	if p.End.MTU > f.MTU && h.State == "" {
		h.Note = fmt.Sprintf("more than the tunnel's %d: large packets are sent twice", f.MTU)
	}
	return h
}

// podRoute judges how the pod itself routes what it sends.
func (f *Facts) podRoute(h Hop, p *PodFacts, a netip.Addr) Hop {
	r, gateway := p.Route, f.gatewayOf(a).Addr()
	if r.Err != nil || !r.Dst.IsValid() {
		h.Detail += ", no route to the destination"
		return h.wrong("default via "+gateway.String(), "the pod has lost its route", f.inside(p, fmt.Sprintf("ip route replace default via %s", gateway)))
	}
	h.Detail += ", " + strings.TrimSuffix(r.String(), " dev "+shell.Quote(p.End.Device))
	if r.Device != p.End.Device || r.Via.IsValid() && r.Via != gateway {
		h.Note = "by another way than podnet's gateway " + gateway.String()
	}
	return h
}

// revive is the command that sets a pod's interface up again, with the default routes that went with it.
func (f *Facts) revive(p *PodFacts, a netip.Addr) string {
	return f.inside(p, fmt.Sprintf("ip link set dev %s up", shell.Quote(p.End.Device)), fmt.Sprintf("ip route replace default via %s", f.gatewayOf(a).Addr()))
}

// inside has the commands run in the pod's network, if there is a way in.
func (f *Facts) inside(p *PodFacts, commands ...string) string {
	if p.Namespace == "" {
		return "delete the pod and have it made anew: nothing here leads into its network"
	}
	all := ""
	for i, c := range commands {
		if i > 0 {
			all += " && "
		}
		all += "nsenter --net=" + shell.Quote(p.Namespace) + " " + c
	}
	return all
}

// portHop is a pod's place on the bridge.
func (f *Facts) portHop(p *PodFacts) Hop {
	v, b := p.Veth, f.Bridge
	h := Hop{Kind: "port", Detail: fmt.Sprintf("%s on %s, forwarding", v.Device, b.Name)}
	fix, up := apply, apply
	if v.Group != device.GroupPod {
		fix, up = fmt.Sprintf("ip link set dev %s master %s", shell.Quote(v.Device), b.Name), fmt.Sprintf("ip link set dev %s up", shell.Quote(v.Device))
	}
	switch {
	case v.Device == "":
		h.Detail = "no host veth"
		return h.wrong("a port of "+b.Name, "the pod has no way out: its host veth is gone", "podnetctl gc")
	case b.Index == 0:
		h.Detail = fmt.Sprintf("%s, and %s is gone", v.Device, b.Name)
		return h.wrong("a port of "+b.Name, "the bridge is gone, and every pod's port with it", apply)
	case v.Bridge != b.Name && v.Bridge != "":
		h.Detail = fmt.Sprintf("%s is a port of %s", v.Device, v.Bridge)
		return h.wrong("a port of "+b.Name, "somebody has moved the pod to another bridge", fix)
	case v.Bridge == "":
		h.Detail = v.Device + " is no port of a bridge"
		return h.wrong("a port of "+b.Name, "the pod's port is missing: somebody has taken the veth off the bridge", fix)
	case !v.Up:
		h.Detail = v.Device + " is down"
		return h.wrong("up", "the pod's host veth was set down", up)
	case !b.Up:
		h.Detail = fmt.Sprintf("%s on %s, which is down", v.Device, b.Name)
		return h.wrong("up", "somebody has set the bridge down", apply)
	case !v.Carrier:
		h.Detail = fmt.Sprintf("%s on %s, without carrier", v.Device, b.Name)
		return h.wrong("carrier", "the pod's end of the veth is down", f.revive(p, f.addrOf(p)))
	case !v.Forwarding:
		h.Detail = fmt.Sprintf("%s on %s, not forwarding", v.Device, b.Name)
		return h.wrong("forwarding", "the bridge does not let the port forward (spanning tree, or set by hand)",
			fmt.Sprintf("bridge link set dev %s state 3", shell.Quote(v.Device)))
	}
	return h
}

// addrOf is the pod's address of the family that is spoken of.
func (f *Facts) addrOf(p *PodFacts) netip.Addr {
	if p == f.From.Pod {
		return f.From.Addr
	}
	return f.To.Addr
}

// gatewayOf is the bridge's address in the podCIDR of a pod of this node, with its length.
func (f *Facts) gatewayOf(a netip.Addr) (gateway netip.Prefix) {
	for _, p := range f.Node.PodCIDRs {
		if p.Addr().Is4() == a.Is4() {
			gateway = netip.PrefixFrom(p.Addr().Next(), p.Bits())
		}
	}
	return gateway
}
