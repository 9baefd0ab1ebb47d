// Package explain says how a packet would travel from here, hop by hop, and which hop is the first that is broken. Look asks the
// kernel; Judge is pure: facts in, an Explanation out.
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

	cause, fix string // of a hop that is not ok
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
	Cause      string `json:"cause"` // empty, like the fix, if no hop is broken
	Fix        string `json:"fix"`   // a command
	Note       string `json:"note,omitempty"`
	Return     string `json:"return"` // the command for the way back
	ReturnOn   string `json:"returnOn,omitempty"`
}

// Judge explains the way that the facts show.
func Judge(f *Facts) Explanation {
	e := Explanation{
		APIVersion: schema.APIVersion, Kind: "Explanation", From: f.From.Addr.String(), Pod: f.From.Name, To: f.To.Addr.String(),
		Hops: []Hop{},
	}
	if f.To.Node != nil {
		e.Node = f.To.Node.Name
	}
	for _, h := range f.hops() {
		h.N = len(e.Hops) + 1
		if h.State == "" {
			h.State = OK
		}
		if h.State != OK && e.Broken == 0 {
			e.Broken, e.Cause, e.Fix = h.N, h.cause, h.fix
			if h.fix == apply {
				e.Note = f.Daemon
			}
		}
		e.Hops = append(e.Hops, h)
	}
	e.ReturnOn, e.Return = f.wayBack()
	return e
}

// apply is the fix for whatever podnet itself looks after.
const apply = "podnetctl apply"

// wrong marks a hop.
func (h Hop) wrong(want, cause, fix string) Hop {
	h.State, h.Want, h.cause, h.fix = Wrong, want, cause, fix
	return h
}

// hops are the stations between the two ends.
func (f *Facts) hops() []Hop {
	var hops []Hop
	if f.From.Pod != nil {
		hops = append(hops, f.podHop(f.From.Pod), f.portHop(f.From.Pod))
	} else {
		hops = append(hops, f.bridgeHop())
	}
	switch f.To.Place {
	case Peer:
		hops = append(hops, f.routeHop(), f.neighbourHop(), f.fdbHop(), f.underlayHop(), f.firewallHop())
	case Here:
		hops = append(hops, f.localHops()...)
	case Self:
		hops = append(hops, f.selfHop())
	case Nobody:
		hops = append(hops, f.nobodyHop())
	case Outside:
		hops = append(hops, f.outsideHop(), f.nextHop(), f.outsideFirewallHop())
	}
	return append(hops, f.probeHops()...)
}

func (f *Facts) wayBack() (node, command string) {
	from := ""
	if f.To.Place == Outside || f.To.Place == Nobody || f.To.Place == Self {
		return "", ""
	}
	if f.To.Place == Peer {
		node = f.To.Node.Name
	}
	if !f.To.Gateway {
		from = " --from " + f.To.Addr.String()
	}
	probe := ""
	if f.Probe != nil {
		probe = " --probe"
	}
	return node, "podnetctl explain" + from + probe + " " + f.From.Addr.String()
}
