package explain

import (
	"fmt"
	"slices"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netfilter/verdict"
	"github.com/podnet/podnet/state/shell"
)

// localHops are behind the bridge, for a pod of this node.
func (f *Trace) localHops() []hop {
	var hops []hop
	switch {
	case f.From.Outside:
		hops = append(hops,
			f.judge(hop{Hop: document.Hop{Kind: "firewall"}}, "FORWARD",
				append(f.there(f.Bridge.Name), f.back(f.Bridge.Name)...)))
	case f.From.Pod == nil:
		hops = append(hops, f.localRoute())
	}
	if f.From.Pod != nil && f.Bridged {
		p := verdict.Packet{Src: f.From.Addr, Dst: f.To.Addr, In: f.Bridge.Name, Out: f.Bridge.Name}
		hops = append(hops,
			f.judge(hop{Hop: document.Hop{Kind: "firewall"}}, "FORWARD, between ports of the bridge",
				[]pass{{verdict.Forward, p, false, false}}))
	}
	port := f.portHop(f.To.Pod)
	if from := f.From.Pod; from != nil && from.Veth.Isolated && f.To.Pod.Veth.Isolated && port.State == "" {
		fix := apply
		if f.To.Pod.Veth.Group != device.GroupPod {
			fix = fmt.Sprintf("bridge link set dev %s isolated off", shell.Quote(f.To.Pod.Veth.Device))
		}
		port = port.wrong("not isolated", "both ports are isolated: the bridge lets no frame pass between them", fix)
	}
	return append(hops, port, f.podHop(f.To.Pod))
}

// localRoute judges how the node itself finds one of its pods.
func (f *Trace) localRoute() hop {
	r := f.Route
	h := hop{Hop: document.Hop{Kind: "route", Detail: r.String(), Note: f.ruleNote()}}
	if r.Err == nil && r.Device == f.Bridge.Name {
		return h
	}
	want := fmt.Sprintf("%s dev %s", f.To.Prefix(), f.Bridge.Name)
	h = f.undelivered(h)
	switch {
	case !r.Rule.Usual() && r.Dst.IsValid() || r.Rule.Ends():
		return h.wrong(want,
			fmt.Sprintf("policy rule %d (%s) diverts packets for this node's own pods", r.Rule.Priority, r.Rule), f.pastRule())
	case r.Dst.IsValid() && r.Dst.Bits() > f.To.Prefix().Bits():
		return h.wrong(want, fmt.Sprintf("the longer prefix %s (%s) takes this address from the bridge", r.Dst, r.Owner()),
			r.Remedy())
	}
	return h.wrong(want, "the route to this node's own pods is gone", apply)
}

// selfHop: the packet ends on this host.
func (f *Trace) selfHop() hop {
	h := hop{Hop: document.Hop{Kind: "route", Detail: fmt.Sprintf("%s is this node's own", f.To.Addr), Note: f.ruleNote()}}
	in := verdict.Packet{Src: f.From.Addr, Dst: f.To.Addr, In: f.in(), Protocol: f.Protocol, Port: f.To.Port, ToHost: true}
	if f.in() == "" {
		return h
	}
	return f.judge(h, h.Detail, []pass{{verdict.Prerouting, in, false, false}, {verdict.Input, in, false, false}})
}

// nobodyHop: no node and no pod has the destination.
func (f *Trace) nobodyHop() hop {
	h := newHop("address", f.To.Addr.String())
	if f.To.Node != nil {
		h = h.advise("a pod", fmt.Sprintf("no pod of this node has %s: no lease, no veth", f.To.Addr),
			"take an address that has a pod")
		h.look = []string{"podnetctl pods"}
		return h
	}
	in := f.rangeOf(f.To.Addr)
	where := fmt.Sprintf("packets for it leave the cluster by %s", f.Route)
	if f.Route.Err != nil {
		where = "this host has no route for it"
	}
	if f.From.Pod != nil && !f.masqueraded() {
		where += fmt.Sprintf(", with the pod's own address: what goes to clusterCIDRs %s is not masqueraded", in)
	}
	return h.advise("a podCIDR",
		fmt.Sprintf("%s lies in the cluster's ranges, but in no node's podCIDR; %s", f.To.Addr, where),
		fmt.Sprintf("if a host outside of the cluster has it, narrow network.clusterCIDRs %s so that it does not hold %s; if a node had it, its pods are gone", in, f.To.Addr))
}

// outsideHop judges the way out of the cluster.
func (f *Trace) outsideHop() hop {
	h := hop{Hop: document.Hop{Kind: "route", Detail: f.Route.String(), Note: f.ruleNote()}}
	if f.Route.Err == nil {
		return h
	}
	if refused, is := f.refused(h, "a route"); is {
		return refused
	}
	h = f.undelivered(h)
	switch {
	case f.Route.Rule.Ends():
		return h.wrong("a route", fmt.Sprintf("policy rule %d (%s) drops it", f.Route.Rule.Priority, f.Route.Rule),
			f.Route.Rule.PassBy("to "+f.To.Addr.String()))
	case f.Route.Dst.IsValid():
		return h.wrong("a route", fmt.Sprintf("%s %s turns it away", f.Route.Dst, f.Route.Owner()), f.Route.Remedy())
	}
	return h.advise("a default route", fmt.Sprintf("this host has no route to %s", f.To.Addr),
		"add one: ip route add default via GATEWAY, with the gateway of this host's subnet")
}

// nextHop is the router, or the destination itself if it is on link.
func (f *Trace) nextHop() hop {
	n := f.Hop
	h := newHop("neighbour", fmt.Sprintf("%s at %s", n.IP, n.MAC))
	switch {
	case n.Failed:
		h.Detail = fmt.Sprintf("nobody answers for %s on %s", n.IP, n.Device)
		h.State, h.cause, h.advice = document.HopLost, fmt.Sprintf("the next hop %s is down, or cut off",
			n.IP), fmt.Sprintf("look at %s and the link %s", n.IP, n.Device)
	case !n.Known:
		h.Detail = fmt.Sprintf("%s, asked for when it is needed", n.IP)
	}
	return h
}

// outsideFirewallHop judges the filters on the way out, and says with which address the packet
// leaves.
func (f *Trace) outsideFirewallHop() hop {
	passes := append(f.there(f.Route.Device), f.back(f.Route.Device)...)
	h := hop{Hop: document.Hop{Kind: "firewall"}}
	if f.From.Pod == nil {
		return f.judge(h, "OUTPUT", passes)
	}
	masqueraded := f.masqueraded()
	leaves := "leaves as " + f.From.Addr.String()
	switch {
	case masqueraded && f.Masquerade.IsValid():
		leaves = "masqueraded as " + f.Masquerade.String()
	case masqueraded:
		leaves = "masqueraded"
	}
	h = f.judge(h, "FORWARD, "+leaves, passes)
	if h.State == "" && !masqueraded && f.mustMasquerade() {
		return h.wrong("masqueraded", "pods' packets leave with an address that nobody outside can answer", apply)
	}
	return h
}

// masqueraded says that something rewrites the sender.
func (f *Trace) masqueraded() bool {
	passes := f.there(f.Route.Device)
	last := passes[len(passes)-1]
	return f.Firewall[f.From.Addr.Is4()].Walk(last.hook, last.packet).NAT != ""
}

// mustMasquerade says that the topology wants the packet to leave with the node's address.
func (f *Trace) mustMasquerade() bool {
	m := f.Topology.Network.Masquerade
	for _, p := range slices.Concat(m.NonMasqueradeCIDRs, f.Topology.Network.ClusterCIDRs) {
		if p.Contains(f.To.Addr) {
			return false
		}
	}
	return m.Enabled && !f.To.Addr.IsMulticast()
}
