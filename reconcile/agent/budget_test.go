package agent

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	const took = 10 * time.Millisecond
	var b budget
	now, busy := time.Unix(0, 0), time.Duration(0)
	pass := func(took time.Duration) time.Duration {
		now, busy = now.Add(took), busy+took
		return b.spend(now, took)
	}
	for range 6 {
		if rest := pass(took); rest != 0 {
			t.Fatalf("a short burst has to rest %s", rest)
		}
	}
	begin, before := now, busy
	for range 1000 { // a storm: a pass is due as soon as it may be
		now = now.Add(pass(took))
	}
	if share := (busy - before).Seconds() / now.Sub(begin).Seconds(); share > 0.22 {
		t.Errorf("a storm takes %.2f of a core", share)
	}
	if rest := pass(10 * time.Second); rest != longestRest {
		t.Errorf("after a pass of 10 s the next one has to wait for %s, want %s", rest, longestRest)
	}
	if rest := pass(0); rest != longestRest {
		t.Errorf("a pass that does not count changes the rest to %s", rest)
	}
	now = now.Add(time.Minute)
	if rest := pass(took); rest != 0 {
		t.Errorf("after a minute's peace a pass has to rest %s", rest)
	}
}
