package explain

import (
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
)

// Probe is what came of packets that were really sent.
type Probe struct {
	From     netip.Addr
	Echoes   []Echo
	Full     int  // bytes of the largest packet that was sent to the first target whole; 0: none
	FullLost bool // and did not come back
	Fits     int  // the largest that did
	Direct   bool // the peer's own address answers
	Seen     Seen
	Dropped  map[string]uint64 // how often the kernel counted a drop meanwhile, by the name of the reason
}

// Echo is one target and how many of the echo requests to it were answered.
type Echo struct {
	Name           string // for a person
	To             netip.Addr
	Sent, Answered int
	Err            error // why nothing could be sent
}

// Seen is where a probe's packets were seen on this host.
type Seen struct {
	Watched  bool // somebody looked
	Entered  bool // the tunnel device
	Left     bool // the underlay's
	Returned bool // the answer, on the underlay
	Bare     bool // and not in the tunnel
	Emerged  bool // the answer, out of the tunnel
}

func (e Echo) lost() bool { return e.Answered == 0 }

// probeHops judges what came back.
func (f *Trace) probeHops() []hop {
	if f.Probe == nil {
		return nil
	}
	var hops []hop
	for i, e := range f.Probe.Echoes {
		hops = append(hops, f.echoHop(i, e))
	}
	if p := f.Probe; p.Full > 0 {
		hops = append(hops, f.fullHop(p))
	}
	return hops
}

func (f *Trace) echoHop(i int, e Echo) hop {
	h := hop{Hop: document.Hop{Kind: "probe",
		Detail: fmt.Sprintf("%s %s, %d of %d answered", e.Name, e.To, e.Answered, e.Sent), Note: "from " +
			f.Probe.From.String()}}
	if e.Err != nil {
		h.Detail = fmt.Sprintf("%s %s: %v", e.Name, e.To, e.Err)
	} else if e.lost() {
		h.Detail = fmt.Sprintf("%s %s, %d of %d lost", e.Name, e.To, e.Sent-e.Answered, e.Sent)
	}
	if !e.lost() {
		return h
	}
	h.State = document.HopLost
	if i > 0 { // the node answers, and this one behind it does not
		h.cause = fmt.Sprintf("%s answers, %s does not: it is not running there, or does not answer echo requests",
			f.Probe.Echoes[0].Name, e.To)
		h.advice = fmt.Sprintf("on %s:  podnetctl pods", f.To.nodeName())
		return h
	}
	h.fault = f.stop()
	return h
}

func (t Target) nodeName() string {
	if t.Node == nil {
		return t.Addr.String()
	}
	return t.Node.Name
}

// fullHop judges packets as large as pods send.
func (f *Trace) fullHop(p *Probe) hop {
	h := newHop("mtu", fmt.Sprintf("%d bytes unfragmented to %s", p.Full, p.Echoes[0].To))
	if !p.FullLost {
		return h
	}
	h.Detail = fmt.Sprintf("%d bytes unfragmented to %s, lost", p.Full, p.Echoes[0].To)
	h.State, h.Want = document.HopLost, fmt.Sprintf("mtu %d on the underlay", p.Full+f.overhead())
	h.cause = fmt.Sprintf("the MTU on the way to %s is too small: packets up to %d bytes come back, pods send %d",
		f.To.nodeName(), p.Fits, p.Full)
	h.advice = fmt.Sprintf("raise the MTU to %d on the way, or set network.mtu: %d in the topology of every node",
		p.Full+f.overhead(), p.Fits-vlanTag)
	return h
}

// vlanTag is how many bytes above a link's MTU the kernel lets in, for the tag of a VLAN: what came
// back may have needed them.
const vlanTag = 4

func (f *Trace) overhead() int {
	if f.To.Place != Peer {
		return 0
	}
	return state.Overhead(f.To.Node.IP)
}
