package agent

import (
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Undo ends the trial of a source as Source.Undo does, on this engine's node.
func (e *Engine) Undo(s *rollout.Source, always bool) (*rollout.Undone, error) {
	return s.Undo(always, e.clear)
}

// clear removes everything that podnet owns from a node on which nothing was in force before t.
func (e *Engine) clear(t *schema.Topology) error {
	_, err := e.Converge(bareView(e.Settings.Node, t))
	return err
}

// bareView asks for nothing on a node, whose network is that of t, or of none.
func bareView(name string, t *schema.Topology) reconcile.View {
	v := reconcile.View{Topology: &schema.Topology{}, Node: &schema.Node{Name: name}, Want: &state.Set{}}
	if t != nil {
		v.Topology.Network = t.Network
	}
	return v
}
