package screen

import (
	"fmt"
	"io"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
)

// WriteAllocation writes who has got which podCIDRs.
func WriteAllocation(w io.Writer, style Style, a *schema.Allocation) error {
	p := newPage(w, style)
	name, ip, cidr := 0, 0, 0
	for _, n := range a.Given {
		name, ip, cidr = max(name, len(n.Name)), max(ip, len(n.IP.String())), max(cidr, len(n.PodCIDRs[0].String()))
	}
	for _, n := range a.Given {
		p.line(reconcile.Place(a.Topology, n.Line), span{"+", green},
			text(" node %-*s  %-*s  %s", name, n.Name, ip, n.IP, podCIDRs(n, cidr)))
	}
	closing := fmt.Sprintf("%s: every node that was asked for has podCIDRs, nothing to do", a.Topology.File)
	if len(a.Given) > 0 {
		closing = fmt.Sprintf("%s: %s given podCIDRs, %s in all", a.Topology.File, plural(len(a.Given), "node"),
			plural(len(a.Topology.Nodes), "node"))
	}
	p.line("", text("%s", closing))
	return p.close()
}
