// Package explain says how a packet would travel from here, hop by hop, and which hop is the first
// that is broken. Look asks the kernel; Judge is pure: facts in, an Explanation out.
package explain

import (
	"github.com/podnet/podnet/schema"
)

// States of a hop.
const (
	OK    = "ok"
	Wrong = "wrong"
	Lost  = "lost" // packets were sent there, and none came back
)

// Hop is one station on the way.
type Hop struct {
	N      int    `json:"n"` // from 1
	Kind   string `json:"kind"`
	Detail string `json:"detail"` // what is there
	State  string `json:"state"`
	Want   string `json:"want"` // what should be there; empty if it is
	Note   string `json:"note,omitempty"`

	fault // of a hop that is not ok
}

// Explanation is the way of a packet.
type Explanation struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	From       string `json:"from"`          // address
	Pod        string `json:"pod,omitempty"` // what the runtime calls the sender
	To         string `json:"to"`            // address
	Node       string `json:"node"`          // that has it; empty: it is outside of the cluster
	Broken     int    `json:"broken"`        // the first hop that is not ok; 0: none
	Hops       []Hop  `json:"hops"`
	Cause      string `json:"cause"` // empty, like the rest, if no hop is broken

	// Fix is a command that mends the broken hop when it is pasted into a shell on this node. It is
	// empty where explain has not seen the fault itself, or where no command of this node mends it.
	Fix    string   `json:"fix"`
	Advice string   `json:"advice,omitempty"` // what somebody has to do elsewhere, or to decide
	Look   []string `json:"look,omitempty"`   // commands that show what explain has not read

	Note     string `json:"note,omitempty"` // behind the fix
	Return   string `json:"return"`         // the command for the way back
	ReturnOn string `json:"returnOn,omitempty"`
}

// Explanations is what explain --all says, for other programs.
type Explanations struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	From       string        `json:"from"`
	Broken     int           `json:"broken"` // peers
	Peers      []Explanation `json:"peers"`
}

// Judge explains the way that the facts show.
func Judge(f *Trace) Explanation {
	e := Explanation{
		APIVersion: schema.APIVersion, Kind: "Explanation", From: f.From.Addr.String(), Pod: f.From.Name, To: f.asked(),
		Hops: []Hop{},
	}
	if f.To.Node != nil {
		e.Node = f.To.Node.Name
	}
	suspect := ""
	for _, h := range f.believe(f.hops()) {
		suspect += h.suspect
		h.N = len(e.Hops) + 1
		if h.State == "" {
			h.State = OK
		}
		if h.State != OK && e.Broken == 0 {
			e.Broken = h.N
			if h.State == Lost && suspect != "" {
				h.cause += "; what may drop them: " + suspect
			}
			e.say(f, f.settle(h))
		}
		e.Hops = append(e.Hops, h)
	}
	e.ReturnOn, e.Return = f.wayBack()
	return e
}

// say takes over what the broken hop says.
func (e *Explanation) say(f *Trace, s fault) {
	e.Cause, e.Fix, e.Advice, e.Look = s.cause, s.fix, s.advice, s.look
	if s.fix == apply {
		e.Note = f.Daemon
	}
}

// hops are the stations between the two ends.
func (f *Trace) hops() []Hop {
	var hops []Hop
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
