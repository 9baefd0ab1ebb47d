package agent

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
)

// lost is a step for a route that somebody has taken away.
func lost() *reconcile.Step {
	r := state.Route{Dst: netip.MustParsePrefix("10.244.1.0/24"), Metric: 100}
	return &reconcile.Step{Change: state.Change{Op: state.Create, Kind: state.KindRoute, Want: r}, Cause: reconcile.CauseDrift}
}

// Somebody takes an object away as soon as it is back: from the sixth time within a minute it comes
// back ever more slowly.
func TestContentionSlowsDown(t *testing.T) {
	var c contention
	now := time.Unix(0, 0)
	var waits []time.Duration
	for range 80 {
		gone := now
		for c.hold(now, lost()) != nil {
			c.passed(now)
			wait, is := c.next(now)
			if !is {
				t.Fatal("it is held back and nothing is due")
			}
			now = now.Add(wait)
		}
		waits = append(waits, now.Sub(gone))
		c.healed(now, lost(), "ip (pid 7)")
		c.passed(now)
	}
	ms := time.Millisecond
	for i, want := range []time.Duration{0, 0, 0, 0, 0, 25 * ms, 50 * ms, 100 * ms, 200 * ms, 400 * ms, 800 * ms, 800 * ms} {
		if waits[i] != want {
			t.Errorf("time %d: after %s, want %s", i+1, waits[i], want)
		}
	}
	if last := waits[len(waits)-1]; last != mostDelay {
		t.Errorf("in the end after %s", last)
	}
	got := c.condition(now)
	if got.Status != "True" || got.Reason != "Fight" || !strings.Contains(got.Message, "route 10.244.1.0/24 was put right 80 times in 57s, last changed by ip (pid 7)") {
		t.Errorf("%+v", got)
	}
	if c.count() != 1 {
		t.Errorf("%d flaps", c.count())
	}
	now = now.Add(flapWindow + time.Second)
	c.passed(now)
	if got := c.condition(now); got.Status != "False" || c.hold(now, lost()) != nil || len(c.flaps) > 0 {
		t.Errorf("a minute later: %+v", got)
	}
}

// What the file asks for is done at once, and so is what came right in between and breaks much
// later.
func TestContentionHoldsNothingElse(t *testing.T) {
	var c contention
	now := time.Unix(0, 0)
	for range 10 {
		c.healed(now, lost(), "")
	}
	if c.hold(now, lost()) == nil {
		t.Fatal("not held back")
	}
	asked := lost()
	asked.Cause = reconcile.CauseChange
	if err := c.hold(now, asked); err != nil {
		t.Errorf("a change of the file: %v", err)
	}
	c.passed(now) // seen to be wrong
	c.passed(now) // and no more
	if wait, is := c.next(now); is {
		t.Errorf("something is due in %s", wait)
	}
	if c.hold(now, lost()); !c.flaps[lost().Key()].due.Equal(now.Add(mostDelay)) {
		t.Errorf("wrong anew, and due %s", c.flaps[lost().Key()].due)
	}
}

// The loop may rest for longer than an object has to wait: then that is due at once. What was let
// through and failed is not tried in a circle.
func TestContentionDueDuringRest(t *testing.T) {
	var c contention
	now := time.Unix(0, 0)
	for range flapHeals {
		c.healed(now, lost(), "")
	}
	if c.hold(now, lost()) == nil {
		t.Fatal("not held back")
	}
	c.passed(now)
	now = now.Add(longestRest)
	if wait, is := c.next(now); !is || wait != 0 {
		t.Errorf("after the rest: due in %s, %v", wait, is)
	}
	if err := c.hold(now, lost()); err != nil {
		t.Error(err)
	}
	c.passed(now)
	if wait, is := c.next(now); is {
		t.Errorf("what has failed is due again in %s", wait)
	}
}

// A rest now and then is no storm, as a first convergence has one, nor are some in a row, nor short
// ones among other changes.
func TestStorm(t *testing.T) {
	var c contention
	now := time.Unix(0, 0)
	stormy := func() bool { return c.condition(now).Reason == "Storm" }
	rests := func(count int, rest, pause time.Duration) {
		for range count {
			c.rest(now, rest)
			now = now.Add(rest + pause)
		}
	}
	const ms = time.Millisecond
	for range 20 {
		rests(19, 90*ms, 10*ms)
		now = now.Add(stormLull)
	}
	rests(5, longestRest, 10*ms)
	now = now.Add(stormLull)
	rests(100, 20*ms, 80*ms)
	if now = now.Add(stormLull + 1); stormy() {
		t.Error("some rests are called a storm")
	}
	if rests(55, 90*ms, 10*ms); !stormy() {
		t.Error("a storm is not noticed")
	}
	if now = now.Add(flapWindow); stormy() {
		t.Error("a storm that is long over is still reported")
	}
}
