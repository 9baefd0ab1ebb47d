package firewall

import (
	"fmt"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// Barrier says what would surely drop packets of pods if podnet's chain of iptables did not accept
// them, and the command that ends it. Both are empty if nothing would, or if nobody can tell.
func (h *Host) Barrier(t Traffic) (what, remedy string, err error) {
	generation, known := h.Generation()
	for _, family := range []uint8{4, 6} {
		if family == 4 && !t.IPv4 || family == 6 && !t.IPv6 {
			continue
		}
		r, err := h.readRules(family, generation, known)
		if err != nil {
			return "", "", err
		}
		rules := r.filter.Without("filter", state.ForwardChain)
		for _, p := range []verdict.Packet{
			forwarded(t.Bridge, t.Tunnel, family == 6), forwarded(t.Tunnel, t.Bridge, family == 6), t.leaving(family == 6),
		} {
			if v := rules.Walk(verdict.Forward, p); v.Surely() {
				return fmt.Sprintf("%s drops packets of pods (%s)", command(family, "iptables"), v.Where), t.letThrough(family), nil
			}
		}
	}
	return "", "", nil
}

// letThrough is the command that has iptables forward packets of pods, ahead of everything else.
func (t Traffic) letThrough(family uint8) string {
	insert := command(family, "iptables") + " -I FORWARD "
	return fmt.Sprintf("%s-i %s -j ACCEPT && %s-o %s -j ACCEPT", insert, t.Bridge, insert, t.Bridge)
}
