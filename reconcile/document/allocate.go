package document

import (
	"net/netip"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
)

// Allocation is what allocate has done, for other programs.
type Allocation struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	File       string          `json:"file"`
	Digest     string          `json:"digest"` // of the file as it is now
	Nodes      []AllocatedNode `json:"nodes"`  // that have got podCIDRs by this
}

// AllocatedNode is one node that has got podCIDRs.
type AllocatedNode struct {
	Name     string         `json:"name"`
	IP       netip.Addr     `json:"ip"`
	PodCIDRs []netip.Prefix `json:"podCIDRs"`
	Source   string         `json:"source"` // FILE:LINE
}

// NewAllocation returns what allocate has done.
func NewAllocation(a *schema.Allocation) Allocation {
	out := Allocation{schema.APIVersion, "Allocation", a.Topology.File, schema.Digest(a.Text), []AllocatedNode{}}
	for _, n := range a.Given {
		out.Nodes = append(out.Nodes, AllocatedNode{n.Name, n.IP, n.PodCIDRs, reconcile.Place(a.Topology, n.Line)})
	}
	return out
}
