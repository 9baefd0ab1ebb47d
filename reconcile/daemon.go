package reconcile

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/podnet/podnet/state"
)

// Daemon converges one node again and again: at every sign of a change, and now and then without one.
type Daemon struct {
	Engine  *Engine
	Log     *slog.Logger
	Resync  time.Duration
	Version string
	// Passed is called after every pass, and Turned every few seconds, both from the loop itself.
	Passed func(*NodeStatus)
	Turned func()
	// Collect frees what pods that are gone have left behind in a network: after the start, and now and then.
	Collect func(ctx context.Context, node *state.Node, network string) error

	source  *Source
	started time.Time
	bootID  string
	status  *NodeStatus // of the last pass
	network string      // of the topology in force
	fights  contention
	healing bool // the node has been in sync under this daemon: what differs from now on was changed by others
}

const (
	beat    = 5 * time.Second  // between two signs of life
	collect = 10 * time.Minute // between two collections
)

// Run passes until ctx ends. It leaves the network as it is.
func (d *Daemon) Run(ctx context.Context, now <-chan os.Signal) error {
	d.source, d.started = NewSource(d.Engine.Paths), time.Now()
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
	for first := true; ; first = false {
		start := time.Now()
		d.pass(first)
		if first {
			d.collect(ctx)
		}
		if pause := spent.spend(time.Now(), time.Since(start)); pause > 0 {
			d.fights.throttled = time.Now()
			rest(ctx, pause)
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
			case <-now:
			case <-events:
			case <-files:
			case <-resync.C:
			}
			again = true
		}
	}
}

// rest waits, unless ctx ends first.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// restore takes the times of conditions over from the daemon before.
func (d *Daemon) restore() {
	if s, err := ReadStatus(d.Engine.Paths.Status); err == nil && s.BootID == d.bootID {
		d.status = &NodeStatus{Conditions: s.Conditions}
	}
}

func (d *Daemon) pass(first bool) {
	unlock, err := Lock(d.Engine.Paths.Lock)
	if err != nil {
		d.Log.Error("no pass without the node's lock", "error", err)
		return
	}
	defer unlock()
	p := Pass{At: time.Now(), Authors: d.Engine.Live().TakeAuthors()}
	p.Plan, p.Err = d.converge(&p.Verdict, first)
	p.Took = time.Since(p.At)
	before := d.status
	d.status = d.report(&p)
	d.log(&p, before)
	if err := d.status.Write(d.Engine.Paths.Status); err != nil {
		d.Log.Error("status not written", "error", err)
	}
	d.Passed(d.status)
}

// collect is for the network of the topology in force. Nothing depends on it.
func (d *Daemon) collect(ctx context.Context) {
	if d.network == "" {
		return
	}
	if err := d.Collect(ctx, d.Engine.Live(), d.network); err != nil {
		d.Log.Warn("not everything was collected that pods have left behind", "error", err)
	}
}

// converge is one pass: which topology, what it asks for, what there is, what to do.
func (d *Daemon) converge(v *Verdict, first bool) (*Plan, error) {
	id, err := d.Engine.Identity()
	if err != nil {
		return nil, err
	}
	*v = d.source.Judge(id)
	if v.Topology == nil {
		return nil, nil
	}
	d.network = v.Topology.Network.CNI.Name
	if err := d.source.Keep(v); err != nil {
		return nil, err
	}
	view, err := d.Engine.View(v.Topology, v.Previous)
	if err != nil {
		return nil, err
	}
	if first {
		if err := d.Engine.HoldConflist(view); err != nil {
			return nil, err
		}
	}
	return d.Engine.Converge(view)
}
