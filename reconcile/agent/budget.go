package agent

import (
	"time"

	"golang.org/x/sys/unix"
)

// What the daemon may cost: a burst of passes follows events at once, a storm is held to a fifth of
// a core.
const (
	pace  = 5 // time that has to go by for each unit of processor time
	burst = 300 * time.Millisecond
	// A rest pays off a part of what is owed beyond that: what breaks after a costly pass need not
	// wait for all of it.
	part = 3
	// However much was spent, as in a first convergence: what breaks is seen to within a second.
	longestRest = 800 * time.Millisecond
)

// budget keeps account of the processor time that passes have spent. What the process does between
// them, such as answering those who read its metrics, is not on the account: nothing was changed.
type budget struct {
	debt time.Duration // time that has yet to go by
	at   time.Time     // as of when
}

// spend notes the processor time of a pass that has just ended, and returns how long to rest before
// the next one.
func (b *budget) spend(now time.Time, spent time.Duration) time.Duration {
	b.debt = min(max(0, b.debt-now.Sub(b.at))+pace*spent, burst+part*longestRest)
	b.at = now
	return max(0, b.debt-burst) / part
}

// processorTime is what the calling thread, and the programs that this process has waited for, have
// had of the processor so far. A pass that waits for the processor costs nothing, nor does what
// other threads do meanwhile for those who read the metrics.
func processorTime() time.Duration {
	var total time.Duration
	for _, who := range []int{unix.RUSAGE_THREAD, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil { // it cannot fail
			total += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return total
}
