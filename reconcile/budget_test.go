package reconcile

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	const took = 30 * time.Millisecond
	var b budget
	now := time.Unix(0, 0)
	pass := func() time.Duration { now = now.Add(took); return b.spend(now, took) }
	for range 10 {
		if rest := pass(); rest != 0 {
			t.Fatalf("a short burst has to rest %s", rest)
		}
	}
	begin, busy := now, time.Duration(0)
	for range 1000 { // a storm: a pass is due as soon as it may be
		now = now.Add(pass())
		busy += took
	}
	if share := busy.Seconds() / now.Sub(begin).Seconds(); share > 0.22 {
		t.Errorf("a storm takes %.2f of a core", share)
	}
	now = now.Add(time.Minute)
	if rest := pass(); rest != 0 {
		t.Errorf("after a minute's peace a pass has to rest %s", rest)
	}
}
