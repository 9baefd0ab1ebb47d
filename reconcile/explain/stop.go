package explain

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/state/inspect"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/shell"
)

// stop says how far packets came that nobody answered, and what the kernel counted meanwhile.
// Nothing of what explain reads keeps them back, or another hop would be broken.
func (f *Trace) stop() fault {
	if err := f.Probe.Echoes[0].Err; err != nil {
		return f.unsent(err)
	}
	s := fault{cause: f.reached()}
	switch why := f.counted(); {
	case why.cause != "":
		s.cause, s.fix, s.look, s.ipsec = s.cause+"; "+why.cause, why.fix, why.look, why.ipsec
	case f.mine():
		s.cause += "; the routes, neighbours, FDB entries and packet filters that explain reads let them pass"
		s.fix = apply // unless podnet finds nothing amiss
	case f.To.Place == Peer:
		s.advice = f.onward()
	default:
		s.advice, s.look = "look at "+f.To.Addr.String(), f.elsewhere()
	}
	return s
}

// unsent: the kernel took no packet.
func (f *Trace) unsent(err error) fault {
	return fault{cause: fmt.Sprintf("this host sends nothing to %s: %v", f.To.Addr, err), look: f.elsewhere()}
}

// mine reports whether packets or answers were lost on this host, as far as that was seen.
func (f *Trace) mine() bool {
	s := f.Probe.Seen
	return f.To.Place == Peer && s.Watched && (!s.Entered || !s.Left || s.Returned)
}

// reached says how far they came.
func (f *Trace) reached() string {
	p, peer, s := f.Probe, f.To.nodeName(), f.Probe.Seen
	switch {
	case f.To.Place != Peer:
		return fmt.Sprintf("%s does not answer, and the routes and packet filters that explain reads let packets for it pass",
			f.To.Addr)
	case s.Watched && !s.Entered:
		return fmt.Sprintf("packets do not come as far as %s", f.Tunnel.Name)
	case s.Watched && !s.Left:
		return fmt.Sprintf("packets enter %s and do not leave by %s", f.Tunnel.Name, f.Underlay.Device)
	case s.Emerged:
		return fmt.Sprintf("%s answers, and the answer is lost between %s and %s", peer, f.Tunnel.Name, p.From)
	case s.Returned && s.Bare:
		return fmt.Sprintf("%s answers by %s, not through the tunnel, and this host drops the answer", peer,
			f.Underlay.Device)
	case s.Returned:
		return fmt.Sprintf("%s answers, and this host drops the answer before it is out of the tunnel", peer)
	case p.Direct:
		return fmt.Sprintf("packets leave by %s; %s answers at %s, but not through the tunnel: they are lost on the way, or on %s",
			f.Underlay.Device, peer, f.To.Node.IP, peer)
	}
	return fmt.Sprintf("packets leave by %s for %s, and %s does not answer at all: it is down, or cut off",
		f.Underlay.Device, f.To.Node.IP, peer)
}

// onward is where to go on looking for what left this host.
func (f *Trace) onward() string {
	if f.Probe.Direct {
		return fmt.Sprintf("on %s:  podnetctl status; podnetctl doctor; podnetctl explain --probe %s", f.To.Node.Name,
			f.Probe.From)
	}
	return fmt.Sprintf("look at %s; once it is up:  podnetctl explain --probe %s", f.To.Node.Name, f.To.Node.Name)
}

// counted explains the drops that the kernel counted while the probes were sent, if they are enough
// for all that were lost.
func (f *Trace) counted() fault {
	lost := uint64(f.Probe.Echoes[0].Sent)
	var reasons []string
	for reason, times := range f.Probe.Dropped {
		if times >= lost {
			reasons = append(reasons, reason)
		}
	}
	for _, reason := range reasons {
		said := fmt.Sprintf("%s rose by %d meanwhile", reason, f.Probe.Dropped[reason])
		switch {
		case reason == inspect.DroppedReverse:
			s := fault{cause: "the reverse path filter dropped them (" + said + ")", look: []string{reversePathSettings}}
			s.fix = f.loosen()
			return s
		case strings.HasPrefix(reason, inspect.DroppedXfrm):
			return fault{cause: "an IPsec policy of this host dropped them (" + said + ")",
				look: []string{"ip xfrm policy; ip xfrm state"}, ipsec: true}
		case reason == inspect.DroppedTracking:
			return fault{cause: "connection tracking dropped them, its table may be full (" + said + ")",
				look: []string{trackingCounts}}
		}
	}
	return fault{}
}

const (
	reversePathSettings = "sysctl -a --pattern 'ipv4.conf.*[.]rp_filter'"
	trackingCounts      = "conntrack -S; sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max"
)

// loosen returns the command that sets a loose reverse path filter on the link that dropped the
// answer. It is empty if no such filter dropped it.
func (f *Trace) loosen() string {
	device := f.Underlay.Device
	if !f.Probe.Seen.Returned || !f.Probe.Seen.Bare || !kernel.StrictReversePath(device) {
		return ""
	}
	return "sysctl -w " + shell.Quote("net/ipv4/conf/"+device+"/rp_filter=2")
}
