package explain

import (
	"fmt"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// pass is one hook that a packet has to get through.
type pass struct {
	hook   string
	packet verdict.Packet
	outer  bool // the tunnel's packet
	back   bool // of the answer
}

// firewallHop judges the filters on the way to a peer: the packet itself, the tunnel's packet
// around it, and both on the way back.
func (f *Trace) firewallHop() hop {
	port := f.Topology.Network.VXLAN.Port
	out := verdict.Packet{Src: f.Node.Sender(), Dst: f.To.Node.IP, Out: f.Underlay.Device, Protocol: "udp", Port: port}
	in := verdict.Packet{Src: f.To.Node.Sender(), Dst: f.Node.IP, In: f.Underlay.Device, Protocol: "udp", Port: port}
	passes := append(f.there(f.Tunnel.Name),
		pass{verdict.Output, out, true, false}, pass{verdict.Postrouting, out, true, false},
		pass{verdict.Prerouting, in, true, true}, pass{verdict.Input, in, true, true})
	return f.judge(hop{Hop: document.Hop{Kind: "firewall"}}, fmt.Sprintf("%s, udp/%d out and in", f.mainHook(), port),
		append(passes, f.back(f.Tunnel.Name)...))
}

func (f *Trace) mainHook() string {
	if f.in() == "" {
		return "OUTPUT"
	}
	return "FORWARD"
}

// in is the device by which the packet comes to this host; "": the host makes it.
func (f *Trace) in() string {
	switch {
	case f.From.Pod != nil:
		return f.Bridge.Name
	case f.From.Outside:
		return f.Arrival.Device
	}
	return ""
}

// there is the way of the packet out of the given device.
func (f *Trace) there(device string) []pass {
	p := verdict.Packet{Src: f.From.Addr, Dst: f.To.Addr, Out: device, Protocol: f.Protocol, Port: f.To.Port}
	post := pass{verdict.Postrouting, p, false, false}
	if f.in() == "" {
		return []pass{{verdict.Output, p, false, false}, post}
	}
	pre := p
	pre.In, pre.Out = f.in(), ""
	p.In = f.in()
	return []pass{{verdict.Prerouting, pre, false, false}, {verdict.Forward, p, false, false}, post}
}

// back is the way of the answer that came in by the device.
func (f *Trace) back(device string) []pass {
	p := verdict.Packet{Src: f.To.Addr, Dst: f.From.Addr, In: device, Established: true}
	pre := pass{verdict.Prerouting, p, false, true}
	if f.in() == "" {
		return []pass{pre, {verdict.Input, p, false, true}}
	}
	p.Out = f.in()
	return []pass{pre, {verdict.Forward, p, false, true}}
}

// judge has the packets go through all passes. The detail is that hooks let it pass, or the rule
// that drops it.
func (f *Trace) judge(h hop, detail string, passes []pass) hop {
	h.Detail = detail
	unread := error(nil)
	for _, p := range passes {
		four := p.packet.Dst.Is4()
		v := f.Firewall[four].Walk(p.hook, p.packet)
		if unread == nil {
			unread = f.Unread[four]
		}
		switch {
		case v.Drop && v.Unsure:
			h.Detail, h.suspect = detail+"; may be dropped by "+v.Where, v.Where
		case v.Drop:
			h.Detail = v.Where
			return h.wrong("let it pass", fmt.Sprintf("the firewall drops %s", f.what(p)), f.open(v, p))
		case v.NAT != "" && !p.outer && !p.back && f.To.Place == Peer && p.hook == verdict.Postrouting:
			h.Detail += "; source rewritten by " + v.NATWhere
		}
	}
	if unread != nil {
		h.Detail = fmt.Sprintf("not known: %v", unread)
		h = h.advise("rules that can be read",
			fmt.Sprintf("whether the firewall drops %s is not known: %v", f.what(passes[0]), unread),
			"see whether real packets pass: podnetctl explain --probe")
		h.look = []string{"nft list ruleset", "iptables-save; ip6tables-save"}
	}
	return h
}

// what a dropped packet is to a person.
func (f *Trace) what(p pass) string {
	who := f.To.Addr.String()
	if f.To.Node != nil && f.To.Place == Peer {
		who = f.To.Node.Name
	}
	switch {
	case p.outer && p.back:
		return fmt.Sprintf("what %s sends through the tunnel (udp/%d in)", who, p.packet.Port)
	case p.outer:
		return fmt.Sprintf("what the tunnel sends to %s (udp/%d out)", who, p.packet.Port)
	case p.back:
		return "what " + who + " answers"
	}
	return "packets for " + who
}

// open is the command that lets a packet pass: a rule about it in particular goes; past one that
// nearly all run into, it is let by.
func (f *Trace) open(v verdict.Verdict, p pass) string {
	switch {
	case p.outer && v.Wide:
		return v.Allow("", "", p.packet.Port)
	case v.Policy && !v.NFT() && p.hook == verdict.Forward:
		return apply // podnet's own chain lets them pass, so it is not there
	case v.Policy && p.hook == verdict.Forward:
		return v.Allow(f.Bridge.Name, "", 0) + " && " + v.Allow("", f.Bridge.Name, 0)
	case v.Policy:
		return v.Allow(p.packet.In, p.packet.Out, 0)
	}
	return v.Remedy
}
