package main

import (
	"os"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// engine is podnet's own code on a node, in this process: what podnetctl and podnetd call, between
// two clock readings. Its methods have to be called within the node's namespace.
type engine struct {
	*agent.Engine
	source *rollout.Source
}

// inside calls f with an engine in the namespace of a node.
func (b bench) inside(n *lab.Node, f func(engine) error) {
	b.must(n.Do(func() error {
		s := agent.Settings{Paths: state.DefaultPaths(n.Root), Node: n.Host}
		e, err := agent.Open(s)
		if err != nil {
			return err
		}
		defer e.Close()
		return f(engine{e, rollout.NewSource(s.Paths, e.Kernel())})
	}))
}

// parse reads the node's topology, and says how long that took.
func (b bench) parse(n *lab.Node) (*schema.Topology, time.Duration) {
	path := n.Path(lab.TopologyPath)
	begin := time.Now()
	data, err := os.ReadFile(path)
	b.must(err)
	t, err := schema.Parse(path, data)
	b.must(err)
	return t, time.Since(begin)
}

// pass is one pass as the daemon makes it: read the files, find their content known, compare
// everything, find nothing to do.
func (e engine) pass() (*reconcile.Plan, error) {
	id, err := e.Identity()
	if err != nil {
		return nil, err
	}
	v := e.source.Judge(id)
	view, err := e.View(id, v.Topology, v.Previous)
	if err != nil {
		return nil, err
	}
	return e.Converge(view)
}
