package agent

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
)

// report is the pass's status with what the daemon knows beside it.
func (d *Daemon) report(p *Pass) *document.NodeStatus {
	s := p.Status(d.status)
	d.sign(s)
	s.Node = cmp.Or(s.Node, d.name)
	if d.status != nil {
		s.HealedTotal, s.LastHealed = d.status.HealedTotal, d.status.LastHealed
	}
	if d.healing && p.Plan != nil {
		d.heal(s, p)
	}
	d.contention.passed(p.At)
	d.contention.flood(d.Engine.Kernel().Watcher.Flood())
	s.Put(since(d.contention.condition(p.At), p.At, d.status))
	p.Contended = d.contention.count()
	d.healing = d.healing || s.InSync
	if err := d.Engine.CountAddresses(s, p, d.status); err != nil {
		d.Log.Warn("addresses not counted", "error", err)
	}
	return s
}

// sign says whose status it is.
func (d *Daemon) sign(s *document.NodeStatus) {
	s.Version, s.BootID = d.Version, d.bootID
	s.Daemon = &document.DaemonStatus{PID: os.Getpid(), StartedAt: d.started, ResyncSeconds: d.Resync.Seconds()}
}

// heal counts what others had changed and the pass has put right.
func (d *Daemon) heal(s *document.NodeStatus, p *Pass) {
	const kept = 20
	healed := []document.Healed{}
	made := map[state.Key]bool{} // what is on it was not changed, but has gone with it
	for _, step := range p.Plan.Steps {
		if step.Cause != reconcile.CauseDrift || step.Result != reconcile.Done {
			continue
		}
		by := d.author(p, step)
		if step.Kind.Own() {
			made[step.Key()] = true
		}
		if step.Want == nil || !made[step.Want.Parent()] {
			d.contention.healed(p.At, step, by)
		}
		s.HealedTotal[step.Kind.String()]++
		if len(healed) < kept {
			healed = append(healed, document.Healed{
				At: p.At, Op: step.Op.String(), Kind: step.Kind.String(), Name: step.Object().Name(), By: by,
			})
		}
	}
	healed = append(healed, s.LastHealed...)
	s.LastHealed = healed[:min(len(healed), kept)]
}

// author returns who had changed a step's object; "": the kernel does not tell.
func (d *Daemon) author(p *Pass, step *reconcile.Step) string {
	if step.Kind == state.KindChain {
		return p.Ruler.String()
	}
	return d.Engine.Kernel().Watcher.Actor(step.Key()).String()
}

// log says what a pass did, and what changed in the conditions. A pass with nothing to do says
// nothing, nor does one about what has failed, or has had to wait, in the same way in the pass
// before.
func (d *Daemon) log(p *Pass, before *document.NodeStatus) {
	if p.Plan != nil {
		d.logSteps(p)
	}
	d.logConditions(before)
}

func (d *Daemon) logSteps(p *Pass) {
	const (
		most       = 20   // lines
		remembered = 4096 // steps that are not done
	)
	var news []*reconcile.Step
	unfinished := map[string]bool{}
	for _, s := range p.Plan.Steps {
		outcome := fmt.Sprint(s.Op, s.Kind, s.Object().Name(), s.Result, s.Err)
		if s.Result != reconcile.Done && len(unfinished) < remembered {
			unfinished[outcome] = true
		}
		if s.Result == reconcile.Done || !d.unfinished[outcome] {
			news = append(news, s)
		}
	}
	d.unfinished = unfinished
	if len(news) == 0 {
		return
	}
	last := d.status.LastPass
	d.Log.Info("pass", "created", last.Created, "updated", last.Updated, "deleted", last.Deleted, "failed", last.Failed,
		"took", p.Took)
	for _, s := range news[:min(len(news), most)] {
		level, args := slog.LevelInfo, []any{"kind", s.Kind.String(), "name", s.Object().Name(), "attrs", s.Object().Attrs(),
			"cause", s.Cause.String(), "by", d.author(p, s), "result", string(s.Result)}
		if s.Err != nil {
			args = append(args, "error", s.Err)
		}
		if s.Result == reconcile.Failed {
			level = slog.LevelError
		}
		d.Log.Log(context.Background(), level, s.Op.String(), args...)
	}
	if len(news) > most {
		d.Log.Info("and more", "steps", len(news)-most)
	}
}

// logConditions says what has changed in the conditions since a status before.
func (d *Daemon) logConditions(before *document.NodeStatus) {
	for _, c := range d.status.Conditions {
		var old document.Condition
		if before != nil {
			old = before.Condition(c.Type)
		}
		counts := c.Type == document.Contention // its message changes with every heal
		if old.Status == c.Status && old.Reason == c.Reason && (old.Message == c.Message || counts) {
			continue
		}
		level := slog.LevelInfo
		if (c.Type == document.Ready) != (c.Status == "True") {
			level = slog.LevelWarn
		}
		d.Log.Log(context.Background(), level, c.Type+" is "+c.Status, "reason", c.Reason, "message", c.Message)
	}
}

// progress tells of long work in the log and in the status file, once a second, and shows that the
// loop is alive.
func (d *Daemon) progress() func(done, total int) {
	const (
		long  = 5000 // objects
		pause = time.Second
	)
	last, turned := time.Now(), time.Now()
	return func(done, total int) {
		if time.Since(turned) >= d.heartbeat(pause) {
			turned = time.Now()
			d.Turned()
		}
		if total < long || time.Since(last) < pause {
			return
		}
		last = time.Now()
		d.Log.Info("converging", "done", done, "total", total)
		s := *document.NewNodeStatus()
		if d.status != nil {
			s = *d.status
		}
		d.sign(&s)
		s.WrittenAt, s.Progress = last, &document.Progress{Done: done, Total: total}
		d.writeStatus(&s)
	}
}
