// Package explain says how a packet would travel from here, hop by hop, and which hop is the first
// that is broken. Look asks the kernel; Judge is pure: facts in, a document.Explanation out.
package explain

import (
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
)

// hop is one station on the way, and what is wrong with it unless it is ok.
type hop struct {
	document.Hop
	fault
}

func newHop(kind, detail string) hop { return hop{Hop: document.Hop{Kind: kind, Detail: detail}} }

// Judge explains the way that the facts show.
func Judge(f *Trace) document.Explanation {
	e := document.Explanation{
		APIVersion: schema.APIVersion, Kind: "Explanation", From: f.From.Addr.String(), Pod: f.From.Name, To: f.asked(),
		Hops: []document.Hop{},
	}
	if f.To.Node != nil {
		e.Node = f.To.Node.Name
	}
	suspect := ""
	for _, h := range f.believe(f.hops()) {
		suspect += h.suspect
		h.N = len(e.Hops) + 1
		if h.State == "" {
			h.State = document.HopOK
		}
		if h.State != document.HopOK && e.Broken == 0 {
			e.Broken = h.N
			if h.State == document.HopLost && suspect != "" {
				h.cause += "; what may drop them: " + suspect
			}
			f.say(&e, f.settle(h))
		}
		e.Hops = append(e.Hops, h.Hop)
	}
	e.ReturnOn, e.Return = f.wayBack()
	return e
}

// say takes over what the broken hop says.
func (f *Trace) say(e *document.Explanation, s fault) {
	e.Cause, e.Fix, e.Advice, e.Look = s.cause, s.fix, s.advice, s.look
	if s.fix == apply {
		e.Note = f.Daemon
	}
}

// hops are the stations between the two ends.
func (f *Trace) hops() []hop {
	var hops []hop
	switch {
	case f.From.Pod != nil:
		hops = append(hops, f.podHop(f.From.Pod), f.portHop(f.From.Pod))
	case f.From.Outside:
		hops = append(hops, f.arrivalHop())
	default:
		hops = append(hops, f.bridgeHop())
	}
	hops = append(hops, f.translationHops()...)
	if f.service() { // ICMP to it is nobody's
		return hops
	}
	switch f.To.Place {
	case Peer:
		hops = append(hops, f.routeHop(), f.neighbourHop(), f.fdbHop(), f.underlayHop(), f.firewallHop())
	case Here:
		hops = append(hops, f.localHops()...)
	case Self:
		hops = append(hops, f.selfHop())
	case Nobody:
		if f.To.Node == nil {
			hops = append(hops, f.outsideHop())
		}
		hops = append(hops, f.nobodyHop())
	case Outside, PeerHost:
		hops = append(hops, f.outsideHop(), f.nextHop(), f.outsideFirewallHop())
	}
	return append(hops, f.probeHops()...)
}

func (f *Trace) wayBack() (node, command string) {
	from := ""
	if f.To.Place == Outside || f.To.Place == Nobody || f.To.Place == Self || f.From.Outside {
		return "", ""
	}
	to := f.From.Addr
	switch f.To.Place {
	case Peer:
		node = f.To.Node.Name
	case PeerHost: // it answers whom the packet seems to come from
		if node = f.To.Node.Name; f.masqueraded() && f.Masquerade.IsValid() {
			to = f.Masquerade
		}
	}
	if !f.To.Gateway {
		from = " --from " + f.To.Addr.String()
	}
	probe := ""
	if f.Probe != nil {
		probe = " --probe"
	}
	return node, "podnetctl explain" + from + probe + " " + to.String()
}
