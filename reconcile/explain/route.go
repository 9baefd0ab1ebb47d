package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/shell"
)

// routeHop judges what the kernel's routing makes of a packet to a peer's pods.
func (f *Trace) routeHop() hop {
	want, r := f.wantRoute(), f.Route
	h := hop{Hop: document.Hop{Kind: "route", Detail: r.String(), Note: f.ruleNote()}}
	way := fmt.Sprintf("%s via %s dev %s", want.Dst, want.Via, want.Device)
	if r.Err == nil && r.Device == want.Device && (r.Via == want.Via || !r.Via.IsValid()) && !r.Local {
		return h
	}
	if refused, is := f.refused(h, way); is {
		return refused
	}
	h = f.undelivered(h)
	cause, fix := f.diversion(want)
	return h.wrong(way, cause+"; "+f.line(), fix)
}

// undelivered says in the detail how the kernel turns a packet away.
func (f *Trace) undelivered(h hop) hop {
	if err := f.Route.Err; err != nil {
		h.Detail += fmt.Sprintf(" (%v)", err)
		if f.Route.Dst.IsValid() {
			h.Detail = f.Route.Dst.String() + " " + f.Route.Owner()
		}
	}
	return h
}

func (f *Trace) ruleNote() string {
	r := f.Route.Rule
	switch {
	case f.Route.Err != nil && !f.Route.Dst.IsValid() && r.Usual():
		return ""
	case r == state.PolicyRule{}: // in IPv6 the kernel looks into table main even without a rule
		return "no rule"
	}
	return fmt.Sprintf("rule %d, table %s", r.Priority, r.TableName())
}

// refused: the host takes no packet of the sender's at all, whatever its routes.
func (f *Trace) refused(h hop, way string) (hop, bool) {
	four := f.From.Addr.Is4()
	switch {
	case f.From.Pod == nil || f.Route.Err == nil:
		return h, false
	case f.Bridge.Index == 0 || !f.Bridge.Up:
		return h.wrong(way, fmt.Sprintf("%s, by which the packet comes in, is not there or down", f.Bridge.Name), apply), true
	case !f.Forwards[four]:
		h.Detail = "this host does not forward"
		return h.wrong("forwarding", "forwarding was switched off", apply), true
	case errors.Is(f.Route.Err, syscall.EXDEV) || errors.Is(f.Route.Err, syscall.EINVAL) && !f.hasSubnet():
		h.Detail = fmt.Sprintf("packets from %s by %s are taken for forged", f.From.Addr, f.Bridge.Name)
		h = h.wrong(way,
			"the way back to the pod leads over another device, and rp_filter drops what comes from there", apply)
		h.look = []string{fmt.Sprintf("ip route get %s", f.From.Addr), reversePathSettings}
		return h, true
	}
	return h, false
}

// hasSubnet says that the bridge has its address in the sender's subnet.
func (f *Trace) hasSubnet() bool {
	for _, p := range f.Addrs {
		if p.Contains(f.From.Addr) {
			return true
		}
	}
	return false
}

// diversion says what keeps a packet from podnet's route, and what to do about it.
func (f *Trace) diversion(want state.Route) (cause, fix string) {
	r := f.Route
	peer := f.To.Node.Name
	switch {
	case f.Tunnel.Index == 0:
		return f.Tunnel.Name + " is gone, and its routes with it", apply
	case !f.Tunnel.Up:
		return f.Tunnel.Name + " was set down, and its routes went with it", apply
	case r.Rule.Ends():
		return fmt.Sprintf("policy rule %d (%s) drops what goes to %s", r.Rule.Priority, r.Rule, peer), f.pastRule()
	case !r.Rule.Usual() && (r.Dst.IsValid() || r.Err == nil):
		return fmt.Sprintf("policy rule %d (%s) diverts packets for %s to table %s", r.Rule.Priority, r.Rule, peer,
			r.Rule.TableName()), f.pastRule()
	case r.Dst.IsValid() && r.Dst.Bits() > want.Dst.Bits():
		return fmt.Sprintf("the longer prefix %s (%s) takes these addresses from podnet's route to %s", r.Dst, r.Owner(),
			peer), r.Remedy()
	case r.Dst == want.Dst && r.Via == want.Via:
		return fmt.Sprintf("podnet's route to %s leads over another device", peer), apply
	case r.Dst == want.Dst:
		return fmt.Sprintf("another route to %s (%s) stands before podnet's", want.Dst, r.Owner()), r.Remedy() +
			" && " + apply
	case r.Dst.IsValid():
		return fmt.Sprintf("the route to %s's pods is gone, and %s takes its packets", peer, r), apply
	}
	return fmt.Sprintf("the route to %s's pods is gone", peer), apply
}

// pastRule is the command that has packets between pods pass by the policy rule that takes them,
// and leaves the rule to all others.
func (f *Trace) pastRule() string {
	return f.pass(f.Route.Rule, "to "+f.rangeOf(f.To.Addr).String())
}

// rangeOf is the range of the cluster's that an address lies in.
func (f *Trace) rangeOf(a netip.Addr) netip.Prefix {
	for _, p := range f.Topology.Network.ClusterCIDRs {
		if p.Contains(a) {
			return p
		}
	}
	return f.To.Prefix()
}

// neighbourHop judges the MAC that stands for the peer's next hop.
func (f *Trace) neighbourHop() hop {
	want, have := f.wantNeigh(), f.Hop
	h := newHop("neighbour", fmt.Sprintf("%s at %s", want.IP, have.MAC))
	switch {
	case !have.Known:
		h.Detail = fmt.Sprintf("%s unknown on %s", want.IP, want.Device)
		return h.wrong(want.MAC.String(),
			fmt.Sprintf("the neighbour entry of %s is gone; %s", f.To.Node.Name, f.line()), apply)
	case have.MAC != want.MAC:
		return h.wrong(want.MAC.String(),
			fmt.Sprintf("packets for %s get a MAC that is %s's; %s", f.To.Node.Name, f.macOwner(have.MAC), f.line()), apply)
	case have.Permanent:
		h.Detail += " permanent"
	}
	return h
}

// macOwner names the node that has a VTEP MAC.
func (f *Trace) macOwner(m state.MAC) string {
	for i := range f.Topology.Nodes {
		if f.Topology.Nodes[i].VTEPMAC == m {
			return f.Topology.Nodes[i].Name
		}
	}
	return "no node of this cluster"
}

// fdbHop judges where the tunnel sends frames for that MAC.
func (f *Trace) fdbHop() hop {
	want, have := f.wantFDB(), f.FDB
	h := newHop("fdb", fmt.Sprintf("%s dst %s", want.MAC, have.Dst))
	switch {
	case !have.Dst.IsValid():
		h.Detail = fmt.Sprintf("%s unknown on %s", want.MAC, want.Device)
		return h.wrong(want.Dst.String(), fmt.Sprintf("the FDB entry of %s is gone; %s", f.To.Node.Name, f.line()), apply)
	case have.Dst != want.Dst:
		return h.wrong(want.Dst.String(),
			fmt.Sprintf("frames for %s go to %s (%s); %s", f.To.Node.Name, have.Dst, f.owner(have.Dst), f.line()), apply)
	case have.Port != 0 || have.VNI != 0 || have.Out != 0:
		h.Detail = fmt.Sprintf("%s %s", want.MAC, have.Attrs())
		return h.wrong(want.Attrs(), fmt.Sprintf("frames for %s go to another tunnel; %s", f.To.Node.Name, f.line()), apply)
	}
	return h
}

// underlayHop judges the way to the peer's own address, and what fits through it.
func (f *Trace) underlayHop() hop {
	peer, r := f.To.Node, f.Underlay
	h := newHop("underlay", fmt.Sprintf("%s dev %s src %s mtu %d", peer.IP, r.Device, f.Node.Sender(), r.MTU))
	need := f.MTU + state.Overhead(peer.IP)
	if r.Via.IsValid() {
		h.Detail = fmt.Sprintf("%s via %s dev %s src %s mtu %d", peer.IP, r.Via, r.Device, f.Node.Sender(), r.MTU)
	}
	switch {
	case !f.Host().IPLocal:
		h.Detail = fmt.Sprintf("%s is on no link of this host", f.Node.Sender())
		return h.advise(f.Node.IP.String(), fmt.Sprintf("this node's own address is missing; %s", f.place(f.Node)),
			"add it to the link, or correct "+f.place(f.Node))
	case f.Tunnel.Index == 0 || !f.Tunnel.Up:
		h.Detail = f.Tunnel.Name + " is gone or down"
		return h.wrong("up", "the vxlan device is gone or was set down", apply)
	case r.Err != nil:
		h.Detail = fmt.Sprintf("no route to %s (%v)", peer.IP, r.Err)
		return f.noUnderlay(h)
	case f.connectedPassed() && !r.Rule.Usual():
		return h.wrong("a route over "+f.connected().Link, f.sidestep(peer.Name), f.aside())
	case f.connectedPassed() && !f.Connected:
		want, fix := f.underlayRoute()
		return h.wrong(want,
			fmt.Sprintf("the route to this host's own subnet is gone, and %s takes what goes to %s", r, peer.Name), fix)
	case r.Device == f.Tunnel.Name || r.Device == f.Bridge.Name:
		return h.wrong("dev "+f.Host().Underlay,
			fmt.Sprintf("the tunnel's own packets to %s are routed into %s", peer.Name, r.Device), r.Remedy())
	case r.Rule.Ends():
		return h.wrong("a route", f.sidestep(peer.Name), f.aside())
	case r.MTU < need:
		h = h.wrong(fmt.Sprintf("mtu %d", need),
			fmt.Sprintf("the MTU is too small: packets of %d bytes are %d in the tunnel, and %s takes %d", f.MTU, need,
				r.Device, r.MTU),
			f.widen(r, need))
		h.advice = fmt.Sprintf("or set network.mtu: %d in the topology of every node", r.MTU-state.Overhead(peer.IP))
		return h
	case f.Beyond.Failed && f.Probe != nil && f.Probe.Echoes[0].lost():
		h.State, h.cause = document.HopLost, fmt.Sprintf("nobody answers for %s on %s, %s: it is down, or cut off",
			f.Beyond.IP, r.Device, f.beyond())
		h.advice = fmt.Sprintf("look at %s; once it is up:  podnetctl explain --probe %s", f.beyond(), peer.Name)
		return h
	case f.Beyond.Failed && f.Probe == nil: // and may be back, without anybody having asked since
		h.Note = "nobody answered last time; --probe asks"
		return h
	}
	h.Note = fmt.Sprintf("%d + %d fits", f.MTU, state.Overhead(peer.IP))
	return h
}

// beyond is the next hop on the underlay: the peer, or a router.
func (f *Trace) beyond() string {
	if f.Underlay.Via.IsValid() {
		return "the router " + f.Underlay.Via.String()
	}
	return f.To.Node.Name
}

// widen is the command that makes room on the underlay.
func (f *Trace) widen(r kernel.Routing, need int) string {
	if f.Links[r.Device].MTU >= need {
		return fmt.Sprintf("ip route change %s mtu %d", r, need)
	}
	return fmt.Sprintf("ip link set dev %s mtu %d", shell.Quote(r.Device), need)
}

// connected is the subnet of this host's own addresses that has the peer in it.
func (f *Trace) connected() (own kernel.HostAddr) {
	for _, a := range f.Addrs {
		if a.Contains(f.To.Node.IP) && !a.IsSingleIP() && (!own.IsValid() || a.Bits() > own.Bits()) {
			own = a
		}
	}
	return own
}

// connectedPassed: the peer is on link by this host's address, and yet goes by a shorter prefix.
func (f *Trace) connectedPassed() bool {
	own := f.connected()
	return own.IsValid() && f.Underlay.Via.IsValid() && f.Underlay.Dst.IsValid() && f.Underlay.Dst.Bits() < own.Bits()
}

// noUnderlay judges a peer that the kernel has no way to.
func (f *Trace) noUnderlay(h hop) hop {
	peer, r := f.To.Node, f.Underlay
	cause := fmt.Sprintf("this host has no route to %s at %s", peer.Name, peer.IP)
	switch {
	case !r.Rule.Usual() && (r.Dst.IsValid() || r.Rule.Ends()):
		return h.wrong("a route", f.sidestep(peer.Name), f.aside())
	case r.Dst.IsValid():
		return h.wrong("a route", fmt.Sprintf("%s: %s %s turns packets away", cause, r.Dst, r.Owner()), r.Remedy())
	case !f.connected().IsValid():
		return h.advise("a route", cause,
			fmt.Sprintf("add one: ip route add %s/%d via GATEWAY, with the gateway of this host's subnet", peer.IP,
				peer.IP.BitLen()))
	case f.Connected: // and nothing leads to it
		h = h.wrong("a rule that leads to table main", cause+", although table main has one", apply)
		return h
	}
	want, fix := f.underlayRoute()
	return h.wrong(want, cause, fix)
}

// sidestep says which policy rule takes the tunnel's packets to a peer elsewhere.
func (f *Trace) sidestep(peer string) string {
	r := f.Underlay
	if r.Rule.Ends() {
		return fmt.Sprintf("policy rule %d (%s) drops what the tunnel sends to %s", r.Rule.Priority, r.Rule, peer)
	}
	return fmt.Sprintf("policy rule %d (%s) has what the tunnel sends to %s looked up in table %s", r.Rule.Priority,
		r.Rule, peer, r.Rule.TableName())
}

// aside is the command that has the tunnel's packets pass by the rule that takes them.
func (f *Trace) aside() string {
	to := netip.PrefixFrom(f.To.Node.IP, f.To.Node.IP.BitLen())
	if own := f.connected(); own.IsValid() {
		to = own.Masked()
	}
	return f.pass(f.Underlay.Rule, fmt.Sprintf("from %s to %s", f.Node.IP, to))
}

// underlayRoute is the route to the peer that is missing, and the command that makes it.
func (f *Trace) underlayRoute() (want, fix string) {
	own := f.connected()
	link, six := shell.Quote(own.Link), ""
	if own.Addr().Is6() {
		six = "-6 "
	}
	if !f.Links[own.Link].Up {
		return own.Link + " up", fmt.Sprintf("ip link set dev %s up", link)
	}
	return fmt.Sprintf("%s dev %s", own.Masked(), link),
		fmt.Sprintf("ip %sroute add %s dev %s proto kernel src %s", six, own.Masked(), link, own.Addr())
}

// pass is the command that has podnet's packets pass by a policy rule and leaves the rule to all
// others: what podnetctl status says of the rule, or else what lets this packet by.
func (f *Trace) pass(r state.PolicyRule, selector string) string {
	if f.Plan != nil {
		for _, c := range f.Plan.Conflicts {
			if c.Rule == r {
				return c.Remedy
			}
		}
	}
	return r.PassBy(selector)
}
