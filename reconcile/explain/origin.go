package explain

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
)

// bridgeHop is the first of a packet that the node itself sends.
func (f *Trace) bridgeHop() hop {
	b := f.Bridge
	h := newHop("bridge", fmt.Sprintf("%s up mtu %d, from %s", b.Name, b.MTU, f.From.Addr))
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

func (f *Trace) hasAddr() bool {
	for _, p := range f.Addrs {
		if p.Addr() == f.From.Addr {
			return true
		}
	}
	return false
}

// podHop is the inside of a pod.
func (f *Trace) podHop(p *PodFacts) hop {
	h := newHop("pod", fmt.Sprintf("%s up mtu %d", p.End.Device, p.End.MTU))
	a := f.addrOf(p)
	switch {
	case p.Veth.Device == "":
		h.Detail = "its host veth is gone"
		return h.wrong(device.VethName(f.Topology.Network.CNI.Name, p.Owner.ContainerID, p.Owner.IfName),
			"the pod has a lease and no veth: it has ended, or its veth was deleted", "podnetctl gc")
	case p.End.Device == "":
		h.Detail = "the other end of " + p.Veth.Device + " cannot be seen"
		return h
	case podCIDR(f.Node, a) == netip.Prefix{}:
		h.Detail = fmt.Sprintf("%s has %s", p.End.Device, a)
		return h.advise("an address of "+f.ranges(),
			fmt.Sprintf("%s is of no podCIDR of this node: the pod is older than the change of its range, and other nodes send its packets elsewhere", a),
			"have the runtime make the pod anew")
	case !p.End.Up:
		h.Detail = p.End.Device + " is down"
		return h.wrong("up", fmt.Sprintf("%s in the pod was set down", p.End.Device), f.restore(p, a))
	case !p.End.HasAddr(a):
		h.Detail = fmt.Sprintf("%s has no %s", p.End.Device, a)
		return h.wrong(a.String(), "the pod has lost its address", f.restore(p, a))
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
func (f *Trace) podRoute(h hop, p *PodFacts, a netip.Addr) hop {
	r, gateway := p.Route, f.gatewayOf(a).Addr()
	if r.Err != nil || !r.Dst.IsValid() {
		h.Detail += ", no route to the destination"
		return h.wrong("default via "+gateway.String(), "the pod has lost its route", f.restore(p, a))
	}
	h.Detail += ", " + strings.TrimSuffix(r.String(), " dev "+shell.Quote(p.End.Device))
	if r.Device != p.End.Device || r.Via.IsValid() && r.Via != gateway {
		h.Note = "by another way than podnet's gateway " + gateway.String()
	}
	return h
}

// restore is the command that sets a pod's interface up, gives it back what it has lost of its
// addresses, and their default routes, and that of an address in any case. The kernel takes an
// interface's routes away when it goes down, and its IPv6 addresses.
func (f *Trace) restore(p *PodFacts, a netip.Addr) string {
	var commands []string
	link := shell.Quote(p.End.Device)
	if !p.End.Up {
		commands = append(commands, fmt.Sprintf("ip link set dev %s up", link))
	}
	for _, own := range p.Addrs {
		gateway, there := f.gatewayOf(own), p.End.HasAddr(own) && (p.End.Up || own.Is4())
		if !gateway.IsValid() || there && p.End.Up && own != a {
			continue
		}
		if !there {
			commands = append(commands, fmt.Sprintf("ip addr replace %s/%d dev %s", own, gateway.Bits(), link)+nodad(own))
		}
		commands = append(commands, fmt.Sprintf("ip route replace default via %s dev %s", gateway.Addr(), link))
	}
	return f.inside(p, commands...)
}

// nodad has an IPv6 address usable at once.
func nodad(a netip.Addr) string {
	if a.Is6() {
		return " nodad"
	}
	return ""
}

// inside has the commands run in the pod's network; "": nothing here leads into it.
func (f *Trace) inside(p *PodFacts, commands ...string) string {
	if p.Namespace == "" {
		return ""
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
func (f *Trace) portHop(p *PodFacts) hop {
	v, b := p.Veth, f.Bridge
	h := newHop("port", fmt.Sprintf("%s on %s, forwarding", v.Device, b.Name))
	fix, up := apply, apply
	if v.Group != device.GroupPod {
		fix, up = fmt.Sprintf("ip link set dev %s master %s", shell.Quote(v.Device),
			b.Name), fmt.Sprintf("ip link set dev %s up", shell.Quote(v.Device))
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
		return h.wrong("carrier", "the pod's end of the veth is down", f.restore(p, f.addrOf(p)))
	case !v.Forwarding:
		h.Detail = fmt.Sprintf("%s on %s, not forwarding", v.Device, b.Name)
		open := fmt.Sprintf("bridge link set dev %s state 3", shell.Quote(v.Device)) // refused as long as there is a spanning tree
		if f.spanningTree() {
			return h.wrong("forwarding", "the bridge runs a spanning tree, which keeps every new port silent for a while",
				fmt.Sprintf("ip link set dev %s type bridge stp_state 0 && %s", b.Name, open))
		}
		return h.wrong("forwarding", "the bridge does not let the port forward: somebody has set its state", open)
	}
	return h
}

// ranges are this node's podCIDRs, for a person.
func (f *Trace) ranges() string {
	var all []string
	for _, p := range f.Node.PodCIDRs {
		all = append(all, p.String())
	}
	return strings.Join(all, " or ")
}

// spanningTree reports whether podnet has found one on its bridge.
func (f *Trace) spanningTree() bool {
	if f.Plan == nil {
		return false
	}
	return slices.ContainsFunc(f.Plan.Steps, func(s *reconcile.Step) bool {
		have, is := s.Have.(state.Link)
		return is && have.Device == f.Bridge.Name && have.STP
	})
}

// addrOf is the pod's address of the family that is spoken of.
func (f *Trace) addrOf(p *PodFacts) netip.Addr {
	if p == f.From.Pod {
		return f.From.Addr
	}
	return f.To.Addr
}

// gatewayOf is the bridge's address in the podCIDR of a pod of this node, with its length.
func (f *Trace) gatewayOf(a netip.Addr) (gateway netip.Prefix) {
	for _, p := range f.Node.PodCIDRs {
		if p.Addr().Is4() == a.Is4() {
			gateway = netip.PrefixFrom(p.Addr().Next(), p.Bits())
		}
	}
	return gateway
}
