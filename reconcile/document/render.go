package document

import (
	"encoding/json"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// DesiredState is what a topology asks of one node, for other programs.
type DesiredState struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Node       string          `json:"node"`
	Topology   FileRef         `json:"topology"`
	MTU        int             `json:"mtu"`
	Assumed    []string        `json:"assumed"`
	Conflist   Conflist        `json:"conflist"`
	Objects    []DesiredObject `json:"objects"`
}

// Conflist is the CNI configuration; Content is nil on a node without a podCIDR.
type Conflist struct {
	Path    string          `json:"path"`
	Content json.RawMessage `json:"content"`
}

// DesiredObject is one object as in the steps of a Plan.
type DesiredObject struct {
	Kind  string `json:"kind"`
	Name  string `json:"name"`
	Attrs string `json:"attrs"`
	Peer  string `json:"peer,omitempty"`
}

// NewDesiredState returns what a topology asks of one of its nodes: set holds the objects. The
// caller adds the MTU, and what it assumes.
func NewDesiredState(t *schema.Topology, node *schema.Node, set *state.Set) *DesiredState {
	d := &DesiredState{
		APIVersion: schema.APIVersion, Kind: "DesiredState", Node: node.Name,
		Topology: FileRef{Path: t.File, Digest: t.Digest}, Assumed: []string{}, Objects: []DesiredObject{},
	}
	for _, l := range set.Conflists.Rows() {
		d.Conflist = Conflist{l.Path, json.RawMessage(l.Content)}
	}
	for k := range state.Kind(state.KindCount) {
		set.Diff(&state.Set{}, k, func(change state.Change) { d.Objects = append(d.Objects, desiredObject(t, k, change)) })
	}
	return d
}

func desiredObject(t *schema.Topology, k state.Kind, change state.Change) DesiredObject {
	o := DesiredObject{Kind: k.String(), Name: change.Want.Name(), Attrs: change.Want.Attrs()}
	if k == state.KindChain {
		o.Attrs = state.Whole(change.Want)
	}
	if change.Origin != state.OwnNode {
		o.Peer = t.Nodes[change.Origin].Name
	}
	return o
}
