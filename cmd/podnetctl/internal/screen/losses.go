package screen

import (
	"fmt"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
)

// losses are what people lose by a plan.
type losses struct {
	said     []string
	allPeers bool
	pods     bool
}

func (l *losses) peers(format string, args ...any) {
	l.said, l.allPeers = append(l.said, fmt.Sprintf(format, args...)), true
}

func (l *losses) local(format string, args ...any) {
	l.said, l.pods = append(l.said, fmt.Sprintf(format, args...)), true
}

func (v *planView) losses() losses {
	var l losses
	v.loseChanged(&l)
	v.loseRemoved(&l)
	for _, s := range v.Steps {
		if v.Impact(s) != reconcile.ImpactNone {
			v.loseOwn(&l, s)
		}
	}
	return l
}

// loseChanged: a peer that has moved is unreachable until it is where the file says.
func (v *planView) loseChanged(l *losses) {
	const few = 3
	var changed []*reconcile.PeerChange
	var who []string
	for _, c := range v.peers {
		if c.Fate == reconcile.PeerChanged {
			changed, who = append(changed, c), append(who, c.Name)
		}
	}
	if len(changed) > few {
		l.said = append(l.said, names(who)+": unreachable from here until they are as the file says")
		return
	}
	for _, c := range changed {
		said := c.Name + ": unreachable from here until it answers at " + c.Now.IP.String()
		if c.Before.IP == c.Now.IP {
			said = c.Name + ": unreachable from here until it has " + reconcile.NodeDifference(c.Before, c.Now)
		}
		l.said = append(l.said, said)
	}
}

func (v *planView) loseRemoved(l *losses) {
	var who []string
	for _, c := range v.peers {
		if c.Fate == reconcile.PeerRemoved {
			who = append(who, c.Name)
		}
	}
	if len(who) > 0 {
		l.said = append(l.said, names(who)+": lost from here")
	}
}

// loseOwn says what goes with the node's own objects. Nobody loses anything by what only pods use
// where there are none.
func (v *planView) loseOwn(l *losses, s *reconcile.Step) {
	switch have := s.Have.(type) {
	case state.Link:
		v.loseLink(l, s, have)
	case state.Addr:
		if v.Impact(s) == reconcile.ImpactPodLoss && !l.pods && v.given.Pods != 0 {
			l.local("%s: lose their gateway %s", v.localPods(), have.Prefix.Addr())
		}
	case state.Conflist:
		if v.Impact(s) == reconcile.ImpactPodLoss && v.given.Pods != 0 {
			l.local("%s: addresses given out again, their leases are under %s", v.localPods(), have.Network())
		}
	case state.Chain:
		if have.Table == "nat" && v.given.Pods != 0 {
			l.local("%s: no longer masqueraded (IPv%d)", v.localPods(), have.Family)
		}
	}
}

func (v *planView) loseLink(l *losses, s *reconcile.Step, have state.Link) {
	gone := s.Op == state.Delete || s.Replace != ""
	switch impact := v.Impact(s); {
	case have.Type == "vxlan" && gone && impact == reconcile.ImpactPartition:
		l.peers("all peers: lost with %s", have.Device)
	case have.Type == "vxlan" && gone:
		l.peers("all peers: unreachable for the moment, %s is made anew", have.Device)
	case have.Type == "vxlan" && impact == reconcile.ImpactPartition:
		l.peers("all peers: do not reach this node until they have the same file")
	case v.given.Pods == 0:
	case have.Type == "vxlan": // its MTU
		l.local("%s: MTU above the tunnel's", v.pods())
	case gone:
		l.local("%s: lose their network with %s", v.localPods(), have.Device)
	case have.MAC != s.Want.(state.Link).MAC:
		l.local("%s: look for their gateway anew", v.localPods())
	}
}

func (v *planView) localPods() string { return Pods(v.given.Pods) }

// Pods is a number of pods of this node; below 0 it is not known.
func Pods(n int) string {
	if n < 0 {
		return "local pods"
	}
	return plural(n, "local pod")
}
