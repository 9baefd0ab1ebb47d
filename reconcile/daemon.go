package reconcile

import (
	"context"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/podnet/podnet/state"
)

// Daemon converges one node again and again: at every sign of a change, and now and then without one.
type Daemon struct {
	Engine  *Engine
	Log     *slog.Logger
	Resync  time.Duration
	Version string
	// Passed is called after every pass, and Turned every few seconds, both from the loop itself. Passed keeps nothing of
	// the pass, whose plan is as large as the topology.
	Passed func(*NodeStatus, *Pass)
	Turned func()
	// Collect frees what pods that are gone have left behind in a network: after the start, and now and then.
	// It runs beside the loop.
	Collect func(ctx context.Context, network string) error

	source  *Source
	started time.Time
	bootID  string
	status  *NodeStatus // of the last pass
	network string      // of the topology in force

	collecting atomic.Bool
	fights     contention
	healing    bool // the node has been in sync under this daemon: what differs from now on was changed by others
}

const (
	beat    = 5 * time.Second  // between two signs of life
	collect = 10 * time.Minute // between two collections

	longestRest = 5 * time.Second // however long a pass took
)

// Run passes until ctx ends. It leaves the network as it is.
func (d *Daemon) Run(ctx context.Context, now <-chan os.Signal) error {
	d.source, d.started = NewSource(d.Engine.Paths, d.Engine.Live()), time.Now()
	d.bootID = state.BootID()
	d.restore()
	d.Engine.Progress = d.progress()
	events, err := d.Engine.Live().Watch(ctx)
	if err != nil {
		return err
	}
	files, err := watchFiles(ctx, d.Log, d.Engine.Paths.Topology, d.Engine.Paths.Conflist)
	if err != nil {
		return err
	}
	resync := time.NewTicker(d.Resync)
	defer resync.Stop()
	alive := time.NewTicker(beat)
	defer alive.Stop()
	garbage := time.NewTicker(collect)
	defer garbage.Stop()
	var spent budget
	if err := d.Engine.HoldConflist(); err != nil {
		d.Log.Warn("a conflist without its bridge may have stayed", "error", err)
	}
	for first := true; ; first = false {
		start := processorTime()
		d.pass(ctx)
		if first {
			d.collect(ctx)
		}
		pause := min(spent.spend(time.Now(), processorTime()-start), longestRest)
		rested := time.After(pause)
		if pause > 0 {
			d.fights.throttled = time.Now()
		}
		changes, changed := events, files // not while the loop rests
		if pause > 0 {
			changes, changed = nil, nil
		}
		for again := false; !again; {
			d.Turned()
			select {
			case <-ctx.Done():
				return nil
			case <-alive.C:
				continue
			case <-garbage.C:
				d.collect(ctx)
				continue
			case <-rested:
				changes, changed, rested = events, files, nil
				continue
			case <-now:
			case <-changes:
			case <-changed:
			case <-resync.C:
			}
			again = true
		}
	}
}

// restore takes the times of conditions over from the daemon before.
func (d *Daemon) restore() {
	if s, err := ReadStatus(d.Engine.Paths.Status); err == nil && s.BootID == d.bootID {
		d.status = &NodeStatus{Conditions: s.Conditions}
	}
}

func (d *Daemon) pass(ctx context.Context) {
	p := Pass{At: time.Now(), Ruler: d.Engine.Live().Author(state.AnyChain())}
	unlock, err := Lock(ctx, d.Engine.Paths.Lock, d.Turned)
	if err != nil && ctx.Err() != nil {
		return
	}
	if p.Err = err; err == nil {
		defer unlock()
		p.At = time.Now()
		p.Plan, p.Err = d.converge(&p.Verdict)
	}
	p.Took = time.Since(p.At)
	before := d.status
	d.status = d.report(&p)
	d.log(&p, before)
	if err := d.status.Write(d.Engine.Paths.Status); err != nil {
		d.Log.Error("status not written", "error", err)
	}
	d.Passed(d.status, &p)
}

// collect is for the network of the topology in force. Nothing depends on it, and nothing waits for it.
func (d *Daemon) collect(ctx context.Context) {
	if d.network == "" || !d.collecting.CompareAndSwap(false, true) {
		return
	}
	network := d.network
	go func() {
		defer d.collecting.Store(false)
		ctx, cancel := context.WithTimeout(ctx, collect)
		defer cancel()
		if err := d.Collect(ctx, network); err != nil {
			d.Log.Warn("not everything was collected that pods have left behind", "error", err)
		}
	}()
}

// converge is one pass: which topology, what it asks for, what there is, what to do. A new topology that this node cannot
// follow, or cannot keep, changes nothing: the last one stays in force.
func (d *Daemon) converge(v *Verdict) (*Plan, error) {
	id, err := d.Engine.Identity()
	if err != nil {
		return nil, err
	}
	*v = d.source.Judge(id)
	if v.Topology == nil {
		return nil, nil
	}
	view, err := d.Engine.View(v.Topology, v.Previous)
	if err == nil {
		err = d.source.Keep(v)
	}
	if err != nil && v.Fresh() && v.Previous != nil {
		v.Refuse(d.Engine.Paths.LastGood, err)
		view, err = d.Engine.View(v.Topology, v.Previous)
	}
	if err != nil {
		return nil, err
	}
	d.network = v.Topology.Network.CNI.Name
	return d.Engine.Converge(view)
}
