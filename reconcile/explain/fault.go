package explain

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/shell"
)

// fault is why a hop is not ok, and what to do about it.
type fault struct {
	cause  string
	fix    string   // a command for a shell on this node; "": none mends it, or none is known to
	advice string   // what somebody has to do elsewhere, or to decide
	look   []string // commands that show what explain has not read
	ipsec  bool     // the kernel counted drops by IPsec policies

	// a rule that drops packets if a match fits that nobody can judge, on a hop that is ok as far
	// as that is known
	suspect string
}

// apply is the fix for whatever podnet itself looks after.
const apply = "podnetctl apply"

// wrong marks a hop whose fault was seen and is mended by the command.
func (h hop) wrong(want, cause, fix string) hop {
	h.State, h.Want, h.fault = document.HopWrong, want, fault{cause: cause, fix: fix}
	return h
}

// advise marks a hop whose fault was seen and that no command on this node mends.
func (h hop) advise(want, cause, advice string) hop {
	h.State, h.Want, h.fault = document.HopWrong, want, fault{cause: cause, advice: advice}
	return h
}

// believe takes back what was found wrong on the way of packets that were really answered.
func (f *Trace) believe(hops []hop) []hop {
	if !f.answered() {
		return hops
	}
	for i := range hops {
		h := &hops[i]
		if h.State != document.HopWrong || h.Kind == "underlay" && f.Probe.FullLost {
			continue
		}
		h.State, h.Want, h.fault = document.HopOK, "", fault{}
		h.Note = "and yet the probes are answered"
	}
	return hops
}

// answered reports whether the destination itself has answered the sender itself.
func (f *Trace) answered() bool {
	p := f.Probe
	if p == nil || len(p.Echoes) == 0 || p.From != f.From.Addr {
		return false
	}
	last := p.Echoes[len(p.Echoes)-1]
	return !last.lost() && last.To == f.To.Addr
}

// settle checks a fault against what podnet itself finds amiss on this node. podnetctl apply mends
// nothing where it has nothing to do; what keeps podnet's objects from having an effect is a
// conflict then, or is not known.
func (f *Trace) settle(h hop) fault {
	s := h.fault
	switch {
	case f.Plan == nil || s.fix != apply && s.fix+s.advice != "":
		return s
	case s.fix == apply && len(f.Plan.Steps) > 0:
		if h.State == document.HopLost { // what was seen is only that packets are lost
			s.cause += "; not as the topology asks: " + f.drift()
		}
		return f.unblock(s)
	}
	var remedies, causes []string
	for _, c := range f.Plan.Conflicts {
		if (c.Counts || c.Blocks) && f.concerns(c) || s.ipsec && c.Key.Name == kernel.ByIPsec {
			causes = append(causes, fmt.Sprintf("%s: %s", c.Object(), c.Owner))
			remedies = append(remedies, c.Remedy)
		}
	}
	if h.State == document.HopLost && len(causes) > 0 {
		causes = append([]string{s.cause}, causes...)
	}
	if len(causes) > 0 {
		s.cause = strings.Join(causes, "; ")
	}
	nothing := s.fix == apply && len(remedies) == 0
	if s.fix = strings.Join(remedies, " && "); nothing {
		s.advice = "podnetctl apply has nothing to do, podnet's own objects are as they should be; podnetctl doctor tells what else is in the way"
		s.look = append(s.look, f.elsewhere()...)
	}
	return s
}

// unblock puts the remedies of conflicts that keep podnetctl apply from doing its steps in front of
// it.
func (f *Trace) unblock(s fault) fault {
	var first []string
	for _, c := range f.Plan.InTheWay() {
		s.cause += "; " + c.Owner
		first = append(first, c.Remedy)
	}
	s.fix = strings.Join(append(first, apply), " && ")
	return s
}

// drift names podnet's objects that are not as they should be, a few of them.
func (f *Trace) drift() string {
	const few = 3
	var names []string
	for i, s := range f.Plan.Steps {
		if i == few {
			names = append(names, fmt.Sprintf("%d more (podnetctl diff)", len(f.Plan.Steps)-few))
			break
		}
		names = append(names, fmt.Sprintf("%s %s", s.Kind, s.Object().Name()))
	}
	return strings.Join(names, ", ")
}

// elsewhere are the commands that show what can keep a packet back on this host and is not read by
// explain.
func (f *Trace) elsewhere() []string {
	look := []string{
		"nft list ruleset",
		"ip rule; ip -6 rule",
		"ip xfrm policy; ip xfrm state",
		reversePathSettings,
		trackingCounts,
		fmt.Sprintf("bridge -d link; bridge vlan show; ip -d link show dev %s", f.Bridge.Name),
	}
	each := shell.Join(f.devices()...)
	look = append(look, "for d in "+each+"; do tc -s filter show dev $d ingress; tc -s filter show dev $d egress; done")
	return look
}

// devices are those of this host that the packet passes.
func (f *Trace) devices() []string {
	var all []string
	add := func(name string) {
		if name != "" && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	for _, p := range []*PodFacts{f.From.Pod, f.To.Pod} {
		if p != nil {
			add(p.Veth.Device)
		}
	}
	add(f.Bridge.Name)
	add(f.Route.Device)
	if f.To.Place == Peer {
		add(f.Tunnel.Name)
		add(f.Underlay.Device)
	}
	return all
}

// concerns reports whether a conflict may be about the packet: a policy rule is about one family,
// the tunnel's or the packet's.
func (f *Trace) concerns(c state.Conflict) bool {
	if c.Key.Name != kernel.ByRule {
		return true
	}
	return c.Rule.IPv6 == f.To.Addr.Is6() || f.To.Place == Peer && c.Rule.IPv6 == f.To.Node.IP.Is6()
}
