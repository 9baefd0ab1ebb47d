package lab

import (
	"context"
	"fmt"
	"time"
)

// TB is what a lab needs of its caller: a *testing.T, or a program that is no test.
type TB interface {
	Helper()
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
	Cleanup(func())
	Failed() bool
	Context() context.Context
}

// PollInterval is how often a condition is looked at: often enough to measure milliseconds, seldom
// enough to leave the two cores to what is measured.
const PollInterval = 4 * time.Millisecond

// Poll waits until check returns nil and says how long that took. The error after the timeout is
// the last of check's.
func Poll(ctx context.Context, timeout time.Duration, check func() error) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	tick := time.NewTicker(PollInterval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return time.Since(begin), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return time.Since(begin), fmt.Errorf("after %v: %w", time.Since(begin).Round(time.Millisecond), err)
		}
	}
}

// Eventually waits until check returns nil and fails the test if it does not within the timeout.
func Eventually(t TB, timeout time.Duration, what string, check func() error) time.Duration {
	t.Helper()
	took, err := Poll(t.Context(), timeout, check)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return took
}

// Patience is how long a test waits for what should take milliseconds, before it calls it lost. A
// traced podnetd beside other tests on two busy processors has taken more than 10 seconds.
const Patience = 30 * time.Second
