package agent

import (
	"cmp"
	"fmt"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
)

// What counts as flapping of an object, for how long it is remembered, and how long the object
// waits to be put right.
const (
	flapHeals  = 5 // within the window: from the next one on, it flaps
	flapWindow = time.Minute
	maxFlaps   = 1000

	firstDelay = 25 * time.Millisecond // twice as long each time
	mostDelay  = 800 * time.Millisecond
)

// What counts as a storm: passes that are held back, one right after the other, for most of some
// time.
const (
	stormTime = 5 * time.Second        // longer than a first convergence on a busy machine
	stormLull = 500 * time.Millisecond // after a rest, without another: it is over, or has not begun
)

// contention damps the flapping of objects that somebody else keeps changing: it has them put
// right ever more slowly. Two programs that undo each other at full speed help nobody.
type contention struct {
	flaps map[state.Key]*flap
	by    string // who changed anything last, as far as the kernel tells

	stormBegan time.Time // or what may become one
	rested     time.Duration
	restEnds   time.Time
	lastStormy time.Time

	flooded time.Time // when others last changed routes of their own by the thousand
	floodBy string
}

// flap is the history of one object that was put right.
type flap struct {
	kind, name string
	heals      []time.Time // within the window
	due        time.Time   // when it may be put right; zero: it has not been seen to be wrong
	held       bool        // back, by the last pass: the next one has to come when it is due
	seen       bool        // to be wrong, by the pass under way
	by         string      // who changed it last, as far as the kernel tells
}

// hold says why a step has to wait: its object flaps, and the time to put it right has not come.
func (c *contention) hold(now time.Time, step *reconcile.Step) error {
	f := c.flaps[step.Key()]
	if f == nil || step.Cause != reconcile.CauseDrift {
		return nil
	}
	f.forget(now)
	if len(f.heals) < flapHeals {
		return nil
	}
	f.seen = true
	if f.due.IsZero() {
		f.due = now.Add(f.delay())
	}
	if f.held = now.Before(f.due); f.held {
		return fmt.Errorf("%s %s: put right %d times in %s, and now only %s after the next change of it", f.kind, f.name,
			len(f.heals), flapWindow, f.delay())
	}
	return nil
}

// delay is how long the object waits to be put right once more.
func (f *flap) delay() time.Duration {
	delay := firstDelay
	for range len(f.heals) - flapHeals {
		delay = min(2*delay, mostDelay)
	}
	return delay
}

// forget drops what was before the window.
func (f *flap) forget(now time.Time) {
	for len(f.heals) > 0 && now.Sub(f.heals[0]) > flapWindow {
		f.heals = f.heals[1:]
	}
}

// next is how long it takes until something that was held back is due, which may be over; false:
// nothing was.
func (c *contention) next(now time.Time) (wait time.Duration, is bool) {
	for _, f := range c.flaps {
		if in := max(0, f.due.Sub(now)); f.held && (!is || in < wait) {
			wait, is = in, true
		}
	}
	return wait, is
}

// healed notes that an object was put right.
func (c *contention) healed(now time.Time, step *reconcile.Step, by string) {
	if by != "" {
		c.by = by
	}
	if c.flaps == nil {
		c.flaps = map[state.Key]*flap{}
	}
	f := c.flaps[step.Key()]
	if f == nil {
		if len(c.flaps) >= maxFlaps {
			return
		}
		f = &flap{kind: step.Kind.String(), name: step.Object().Name()}
		c.flaps[step.Key()] = f
	}
	f.heals, f.due, f.held = append(f.heals, now), time.Time{}, false
	if by != "" {
		f.by = by
	}
}

// passed ends a pass: what it did not find wrong, or has put right, is not waiting any more, and
// what has been quiet for long enough is forgotten.
func (c *contention) passed(now time.Time) {
	for k, f := range c.flaps {
		if f.forget(now); len(f.heals) == 0 {
			delete(c.flaps, k)
		}
		if !f.seen {
			f.due, f.held = time.Time{}, false
		}
		f.seen = false
	}
}

// rest notes that the next pass is held back for so long, because passes have taken more than their
// share.
func (c *contention) rest(now time.Time, lasts time.Duration) {
	if now.Sub(c.restEnds) > stormLull {
		c.stormBegan, c.rested = now, 0
	}
	c.rested += lasts
	c.restEnds = now.Add(lasts)
	if took := c.restEnds.Sub(c.stormBegan); took >= stormTime && 2*c.rested > took {
		c.lastStormy = now
	}
}

// flood takes over who floods the host with routes of their own, and since when they have not.
func (c *contention) flood(at time.Time, by kernel.Actor) { c.flooded, c.floodBy = at, by.String() }

// worst is the object that was put right most often lately; nil: none flaps.
func (c *contention) worst() *flap {
	var worst *flap
	for _, f := range c.flaps {
		if len(f.heals) > flapHeals && (worst == nil || len(f.heals) > len(worst.heals)) {
			worst = f
		}
	}
	return worst
}

// count is the number of objects that are fought over.
func (c *contention) count() int {
	n := 0
	for _, f := range c.flaps {
		if len(f.heals) > flapHeals {
			n++
		}
	}
	return n
}

// condition is Contention as of now.
func (c *contention) condition(now time.Time) document.Condition {
	if f := c.worst(); f != nil {
		return condition(document.Contention, true, "Fight", fmt.Sprintf(
			"%s %s was put right %d times in %s%s: it comes back only %s after each change; find what changes it (%s shows it) and make it leave podnet's objects alone",
			f.kind, f.name, len(f.heals), now.Sub(f.heals[0]).Round(time.Second), lastChangedBy(f.by), f.delay(), f.monitor()))
	}
	if !c.lastStormy.IsZero() && now.Sub(c.lastStormy) < flapWindow {
		return condition(document.Contention, true, "Storm", fmt.Sprintf(
			"so much is being changed%s that looking at it is held to a fifth of a core (ip monitor shows what, nft monitor for rules)", lastChangedBy(cmp.Or(c.by, c.floodBy))))
	}
	if !c.flooded.IsZero() && now.Sub(c.flooded) < flapWindow {
		return condition(document.Contention, true, "Storm", fmt.Sprintf(
			"other programs' routes are being changed by thousands a second%s: podnet leaves them alone (ip monitor route shows them)", lastChangedBy(c.floodBy)))
	}
	return condition(document.Contention, false, "None", "")
}

// monitor is the program that shows changes of such objects as they happen.
func (f *flap) monitor() string {
	if f.kind == state.KindChain.String() {
		return "nft monitor"
	}
	return "ip monitor"
}

func lastChangedBy(who string) string {
	if who == "" {
		return ""
	}
	return ", last changed by " + who
}
