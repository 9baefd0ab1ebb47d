package agent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// pass looks, decides and puts right once, and reports. It returns the processor time that this took
// since it had the node's lock, or 0 for work that does not count as a storm: see rebuilt.
func (d *Daemon) pass(ctx context.Context) (spent time.Duration) {
	if d.Presence != nil {
		d.Presence.TakeSocket()
	}
	p := Pass{At: time.Now(), Ruler: d.Engine.Kernel().Watcher.Actor(kernel.AnyChain()), Squatter: Squatter()}
	unlock, err := d.lock(ctx)
	if err != nil && ctx.Err() != nil {
		return 0
	}
	began := processorTime()
	if p.Err = err; err == nil {
		p.At = time.Now()
		p.Plan, p.Err = d.converge(&p.Decision)
		p.Err = errors.Join(p.Err, unlock())
	}
	p.Took = time.Since(p.At)
	before := d.status
	d.status = d.report(&p)
	d.litter = d.litter || p.littered(before)
	d.log(&p, before)
	d.writeStatus(d.status)
	d.Passed(d.status, &p)
	if p.rebuilt() && d.contention.worst() == nil {
		return 0
	}
	return processorTime() - began
}

// rebuilt says that the pass has followed a change of the file, or put a part of the node itself
// right, which takes much along: unless somebody keeps undoing that, it is no storm, and what
// breaks next need not wait.
func (p *Pass) rebuilt() bool {
	return p.Plan != nil && slices.ContainsFunc(p.Plan.Steps, func(s *reconcile.Step) bool {
		return s.Result == reconcile.Done && (s.Cause == reconcile.CauseChange || s.Kind.Own())
	})
}

// littered says that the pass has parsed a file, or made many objects.
func (p *Pass) littered(before *document.NodeStatus) bool {
	const many = 1000
	return before == nil || before.Topology.OnDisk.Digest != p.Decision.OnDisk.Digest || p.Plan != nil &&
		len(p.Plan.Steps) > many
}

// away says that the node's ip has not been on this host since the start of the daemon, and is not
// now: as far as can be told, the node's files are those of another host, or of another network
// namespace.
func (d *Daemon) away(id reconcile.Identity) bool {
	t := d.source.Judge(id).Topology
	if d.Engine.home || t == nil {
		return false
	}
	own, err := id.Select(t)
	return err == nil && !slices.Contains(id.Addrs, own.Sender())
}

// holdConflist takes the conflist away if its bridge is missing, unless it may be another host's or
// another network namespace's.
func (d *Daemon) holdConflist() error {
	id, err := d.Engine.Identity()
	if err != nil {
		return err
	}
	if d.away(id) {
		d.Log.Warn("the node's ip is not here: conflist, leases and last good topology stay as they are until it is")
		return nil
	}
	return d.Engine.HoldConflist()
}

// converge runs one pass and stores the decision in v. It ends a trial whose time is up, judges the
// files, keeps a new topology as the last good one, and applies the plan. If this node cannot
// follow or keep a new topology, converge refuses it in v and applies the previous one. The plan is
// nil if no topology is in force; a plan may come with an error.
func (d *Daemon) converge(v *rollout.Decision) (*reconcile.Plan, error) {
	id, err := d.Engine.Identity()
	if err != nil {
		return nil, err
	}
	d.name = cmp.Or(d.name, id.Node, id.Hostname)
	var undone *rollout.Undone
	var left error
	if d.source.Trial() == nil || !d.away(id) { // else it is that of another host, or another network namespace
		undone, left = d.Engine.Undo(d.source, false)
	}
	*v = d.source.Judge(id)
	d.Engine.SetTrial(v.Trial, d.source)
	if v.Topology == nil {
		return nil, left
	}
	view, err := d.Engine.View(id, v.Topology, undone.Before(v))
	if err == nil {
		err = view.Lacking()
	}
	if err == nil && !view.Away {
		err = d.source.Keep(v)
	}
	if err != nil && v.Fresh() && v.Previous != nil {
		v.Refuse(err)
		view, err = d.Engine.View(id, v.Topology, v.Previous)
	}
	if err != nil {
		return nil, err
	}
	d.network, d.name = pods.PodNetwork{}, view.Node.Name
	if !view.Away {
		d.network = pods.PodNetwork{Name: v.Topology.Network.CNI.Name, Node: view.Node.Name, IP: view.Node.Sender()}
	}
	plan, err := d.Engine.Converge(view)
	return plan, cmp.Or(err, left)
}
