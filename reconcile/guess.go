package reconcile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/schema"
)

// guess says what probably went wrong in a refused topology; "": nothing in particular. Each guess
// needs a pattern that most of the disrupted peers follow, and the more specific come first.
func guess(was past, d disruption, next *schema.Topology) string {
	for _, g := range []func(past, disruption, *schema.Topology) string{
		otherCluster, renamed, cutOff, shifted, familyChanged, sameChange,
	} {
		if cause := g(was, d, next); cause != "" {
			return cause
		}
	}
	return ""
}

// most: more than half, and not a lone one.
func most(n, of int) bool { return n > 1 && 2*n > of }

func otherCluster(was past, d disruption, next *schema.Topology) string {
	if was.Name != "" && was.Name != next.Name || len(d.leaving) > 1 && len(d.leaving) == len(was.Peers) &&
		!sharesIP(was, next) {
		return "this is probably the file of another cluster"
	}
	return ""
}

func sharesIP(was past, next *schema.Topology) bool {
	there := ips(next)
	for _, p := range was.Peers {
		if there[p.IP] != nil {
			return true
		}
	}
	return false
}

func ips(t *schema.Topology) map[netip.Addr]*schema.Node {
	by := make(map[netip.Addr]*schema.Node, len(t.Nodes))
	for i := range t.Nodes {
		by[t.Nodes[i].IP] = &t.Nodes[i]
	}
	return by
}

// renamed: the addresses are still there, under other names.
func renamed(_ past, d disruption, next *schema.Topology) string {
	there := ips(next)
	example, n := "", 0
	for _, p := range d.leaving {
		if now := there[p.IP]; now != nil && p.Name != "" {
			if n++; n == 1 {
				example = p.Name + " is now " + now.Name
			}
		}
	}
	if n == 0 || 2*n <= len(d.leaving) {
		return ""
	}
	return fmt.Sprintf("%d of them are there under other names (%s): were full names and short names mixed up?", n,
		example)
}

// cutOff: what is there is as it was, and what is missing are the last entries.
func cutOff(was past, d disruption, next *schema.Topology) string {
	n := len(next.Nodes)
	if len(d.leaving) == 0 || len(d.changed) > 0 || n >= len(was.Nodes) {
		return ""
	}
	for i := range next.Nodes {
		if next.Nodes[i].Name != was.Nodes[i] {
			return ""
		}
	}
	said := fmt.Sprintf("they are the last entries of the file in force, %d now and %d before: it was probably cut off", n,
		len(was.Nodes))
	if next.Line("metadata.nodeCount") == 0 {
		said += " (metadata.nodeCount would tell)"
	}
	return said
}

// shifted: peers have what others had before.
func shifted(was past, d disruption, _ *schema.Topology) string {
	owners := map[netip.Prefix]bool{}
	addrs := map[netip.Addr]bool{}
	for _, p := range was.Peers {
		addrs[p.IP] = true
		for _, c := range p.PodCIDRs {
			owners[c] = true
		}
	}
	ranges, moved := 0, 0
	for _, c := range d.changed {
		if taken(c, owners) {
			ranges++
		}
		if c.now.IP != c.before.IP && addrs[c.now.IP] {
			moved++
		}
	}
	switch {
	case most(ranges, len(d.changed)):
		return fmt.Sprintf("%d of them have the podCIDRs that another node had: the list was probably shifted or sorted anew", ranges)
	case most(moved, len(d.changed)):
		return fmt.Sprintf("%d of them have the ip that another node had: the list was probably shifted or sorted anew", moved)
	}
	return ""
}

// taken says that one of a changed peer's ranges was another's.
func taken(c change, owners map[netip.Prefix]bool) bool {
	for _, p := range c.now.PodCIDRs {
		if owners[p] && !slices.Contains(c.before.PodCIDRs, p) {
			return true
		}
	}
	return false
}

// familyChanged: the same ranges, but for those of one family.
func familyChanged(_ past, d disruption, _ *schema.Topology) string {
	lost, gained := 0, 0
	for _, c := range d.changed {
		switch before, now := c.before.PodCIDRs, c.now.PodCIDRs; {
		case len(before) == 2 && len(now) == 1 && slices.Contains(before, now[0]):
			lost++
		case len(before) == 1 && len(now) == 2 && slices.Contains(now, before[0]):
			gained++
		}
	}
	switch {
	case most(lost, len(d.changed)):
		return fmt.Sprintf("%d of them lose the ranges of one family: it was probably left out", lost)
	case most(gained, len(d.changed)):
		return fmt.Sprintf("%d of them get ranges of a second family, and keep those of the first", gained)
	}
	return ""
}

// sameChange: one field of nearly all.
func sameChange(was past, d disruption, _ *schema.Topology) string {
	fields := []struct {
		name, guess string
		n           int
	}{
		{"ip", "the template probably took the address of another interface", 0},
		{"podCIDRs", "the template probably has another cluster range, or another order", 0},
		{"VTEP MAC", "the template probably sets or drops vtepMAC", 0},
	}
	for _, c := range d.changed {
		difference := NodeDifference(c.before, c.now)
		for i := range fields {
			if strings.Contains(difference, fields[i].name+" ") {
				fields[i].n++
			}
		}
	}
	for _, f := range fields {
		if most(f.n, len(was.Peers)) {
			return fmt.Sprintf("the %s of %d of %d peers changes: %s", f.name, f.n, len(was.Peers), f.guess)
		}
	}
	return ""
}
