package reconcile

import (
	"time"

	"golang.org/x/sys/unix"
)

// What passes may cost: a burst of them follows events at once, a storm is held to a fifth of a core.
const (
	pace  = 5 // time that has to go by for each unit of time spent in passes
	burst = 2 * time.Second
)

// budget keeps account of the time spent in passes.
type budget struct {
	debt time.Duration // time that has yet to go by
	at   time.Time     // as of when
}

// spend notes a pass that ended now after took, and returns how long to rest before the next one.
func (b *budget) spend(now time.Time, took time.Duration) time.Duration {
	b.debt = max(0, b.debt-now.Sub(b.at)) + pace*took
	b.at = now
	return max(0, b.debt-burst)
}

// processorTime is what this process and the programs that it has waited for have had of the processor so far. A pass that
// waits, for the processor or for a lock, costs nothing.
func processorTime() time.Duration {
	var total time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil { // it cannot fail
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}
