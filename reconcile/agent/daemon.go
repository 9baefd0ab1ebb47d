package agent

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// Daemon converges one node again and again: at every sign of a change, and now and then without
// one.
type Daemon struct {
	Engine   *Engine
	Presence *Presence // nil: nobody has to know that this is the daemon
	Log      *slog.Logger
	Resync   time.Duration
	Version  string
	// Passed is called after every pass, and Turned every few seconds, both from the loop itself.
	// Passed keeps neither the status nor the pass: the next pass changes maps of the status, and
	// the plan of the pass is as large as the topology.
	Passed func(*document.NodeStatus, *Pass)
	Turned func()
	// HeldUp is called when the node's lock has been somebody else's for long, again when that
	// changes.
	HeldUp func(*document.NodeStatus)
	// Watchdog is how often somebody wants Turned to be called at least; 0: nobody cares.
	Watchdog time.Duration
	// Collect frees what pods that are gone have left behind in the network, if this is the node's
	// network namespace: after the start, and now and then. It runs beside the loop.
	Collect func(ctx context.Context, network pods.PodNetwork) error

	source  *rollout.Source
	started time.Time
	bootID  string
	status  *document.NodeStatus // of the last pass
	network pods.PodNetwork      // of the topology in force, whose pods are here; without a name: none
	name    string               // of the node, as far as it is known
	// unfinished holds the steps that the last pass did not finish, each with its outcome in words, so
	// that a step that fails again in the same way is not logged again.
	unfinished map[string]bool

	collecting atomic.Bool
	contention contention
	litter     bool // something has left much garbage
	healing    bool // the node has been in sync under this daemon: what differs from now on was changed by others
}

const (
	heartbeat       = 5 * time.Second  // between two signs of life
	collectInterval = 10 * time.Minute // between two collections
)

// Run runs a pass at the start and then whenever there is a reason, until ctx ends; then it returns
// nil and leaves the network as it is. A value on now starts a pass at once. Run returns an error
// only if it cannot watch the kernel. What fails in a pass is reported in the status and tried
// again in the next pass. Run is called once; Presence alone may be nil, and Resync is positive.
func (d *Daemon) Run(ctx context.Context, now <-chan os.Signal) error {
	runtime.LockOSThread() // processorTime is that of a thread
	defer runtime.UnlockOSThread()
	d.source, d.started, d.litter = rollout.NewSource(d.Engine.Paths, d.Engine.Kernel()), time.Now(), true
	d.bootID = kernel.BootID()
	d.status = inherit(d.Engine.Paths.Status)
	d.Engine.Progress = d.progress()
	d.Engine.Hold = func(s *reconcile.Step) error { return d.contention.hold(time.Now(), s) }
	r, err := d.listen(ctx, now)
	if err != nil {
		return err
	}
	defer r.stop()
	if err := kernel.RemoveTemporaries(d.Engine.Paths); err != nil {
		d.Log.Warn("what a killed process has left half written stays", "error", err)
	}
	var spent budget
	if err := d.holdConflist(); err != nil {
		d.Log.Warn("a conflist without its bridge may have stayed", "error", err)
	}
	for collected := false; ; {
		cost := d.pass(ctx)
		if !collected && d.network.Name != "" {
			collected = true
			d.collect(ctx)
		}
		delay := spent.spend(time.Now(), cost)
		if delay > 0 {
			d.contention.rest(time.Now(), delay)
		}
		if !d.await(ctx, r, delay) {
			d.end()
			return nil
		}
	}
}

// reasons are all that makes the daemon take a pass, and what else it does now and then.
type reasons struct {
	now                    <-chan os.Signal
	kernel, files          <-chan struct{}
	resync, alive, garbage *time.Ticker
}

func (d *Daemon) listen(ctx context.Context, now <-chan os.Signal) (*reasons, error) {
	r := &reasons{now: now}
	var err error
	if r.kernel, err = d.Engine.Kernel().Watcher.Watch(ctx); err != nil {
		return nil, err
	}
	r.files = WatchFiles(ctx, d.Log, d.Engine.Paths.Topology, d.Engine.Paths.Conflist, d.source.TrialRecord())
	r.resync, r.alive, r.garbage = time.NewTicker(d.Resync), time.NewTicker(d.heartbeat(heartbeat)),
		time.NewTicker(collectInterval)
	return r, nil
}

// heartbeat returns how long may pass between two signs of life: most, or less if there is a
// watchdog that wants that.
func (d *Daemon) heartbeat(most time.Duration) time.Duration {
	if d.Watchdog > 0 {
		return min(most, d.Watchdog)
	}
	return most
}

func (r *reasons) stop() {
	r.resync.Stop()
	r.alive.Stop()
	r.garbage.Stop()
}

// await waits for a reason to run a pass. It reports false if ctx has ended. A signal, the end of
// a trial and the resync start a pass at once. What the kernel and the files announce, and what
// was held back, waits until delay has passed.
func (d *Daemon) await(ctx context.Context, r *reasons, delay time.Duration) bool {
	var kernelChanged, filesChanged <-chan struct{}
	var held <-chan time.Time
	rested, due := time.After(delay), d.source.Due()
	for {
		d.Turned()
		select {
		case <-ctx.Done():
			return false
		case <-r.alive.C:
			d.tidy()
		case <-r.garbage.C:
			d.collect(ctx)
		case <-rested:
			kernelChanged, filesChanged = r.kernel, r.files
			if wait, is := d.contention.next(time.Now()); is {
				held = time.After(wait)
			}
		case <-r.now:
			return true
		case <-due:
			return true
		case <-kernelChanged:
			return true
		case <-filesChanged:
			return true
		case <-held:
			return true
		case <-r.resync.C:
			return true
		}
	}
}

// tidy gives memory back, some seconds after what took much of it and leaves little: parsing a
// file, and making many objects.
func (d *Daemon) tidy() {
	if d.litter {
		debug.FreeOSMemory()
	}
	d.litter = false
}

// end dates the last status: since then nothing heals the node.
func (d *Daemon) end() {
	if d.status == nil || d.status.Daemon == nil {
		return // no pass has ended
	}
	s := *d.status
	s.WrittenAt = time.Now()
	d.writeStatus(&s)
}

// collect is for the network of the topology in force. Nothing depends on it, and nothing waits for
// it.
func (d *Daemon) collect(ctx context.Context) {
	if d.network.Name == "" || !d.collecting.CompareAndSwap(false, true) {
		return
	}
	network := d.network
	go func() {
		defer d.collecting.Store(false)
		ctx, cancel := context.WithTimeout(ctx, collectInterval)
		defer cancel()
		if err := d.Collect(ctx, network); err != nil {
			d.Log.Warn("not everything was collected that pods have left behind", "error", err)
		}
	}()
}
