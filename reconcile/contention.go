package reconcile

import (
	"fmt"
	"time"

	"github.com/podnet/podnet/state"
)

// What counts as a fight over an object, and for how long it is remembered.
const (
	fightHeals  = 5
	fightWindow = time.Minute
	mostFights  = 1000
)

// contention remembers which objects somebody else keeps changing.
type contention struct {
	fights    map[state.Key]*fight
	throttled time.Time // when passes were last held back
}

// fight is the history of one object that was put right.
type fight struct {
	kind, name  string
	since, last time.Time
	heals       int
	by          string // who changed it last, as far as the kernel tells
}

// healed notes that an object was put right.
func (c *contention) healed(now time.Time, step *Step, by string) {
	if c.fights == nil {
		c.fights = map[state.Key]*fight{}
	}
	f := c.fights[step.Key()]
	if f == nil {
		if len(c.fights) >= mostFights {
			return
		}
		f = &fight{kind: step.Kind.String(), name: step.Object().Name(), since: now}
		c.fights[step.Key()] = f
	}
	f.heals++
	f.last = now
	if by != "" {
		f.by = by
	}
}

// forget drops what has been quiet for long enough.
func (c *contention) forget(now time.Time) {
	for k, f := range c.fights {
		if now.Sub(f.last) > fightWindow {
			delete(c.fights, k)
		}
	}
}

// worst is the object that was put right most often lately; nil: there is no fight.
func (c *contention) worst() *fight {
	var worst *fight
	for _, f := range c.fights {
		if f.heals >= fightHeals && (worst == nil || f.heals > worst.heals) {
			worst = f
		}
	}
	return worst
}

// count is the number of objects that are fought over.
func (c *contention) count() int {
	n := 0
	for _, f := range c.fights {
		if f.heals >= fightHeals {
			n++
		}
	}
	return n
}

// condition is Contention as of now.
func (c *contention) condition(now time.Time) Condition {
	c.forget(now)
	if f := c.worst(); f != nil {
		message := fmt.Sprintf("%s %s was put right %d times in %s", f.kind, f.name, f.heals, f.last.Sub(f.since).Round(time.Second))
		if f.by != "" {
			message += ", last changed by " + f.by
		}
		return condition(Contention, true, "Fight", message+": find what changes it and make it leave podnet's objects alone")
	}
	if now.Sub(c.throttled) < fightWindow {
		return condition(Contention, true, "Storm", "so many changes come from the kernel that looking at them is held to a fifth of a core (ip monitor shows them)")
	}
	return condition(Contention, false, "None", "")
}
