package reconcile

import (
	"time"

	"golang.org/x/sys/unix"
)

// What the daemon may cost: a burst of passes follows events at once, a storm is held to a fifth of a core.
const (
	pace  = 5 // time that has to go by for each unit of processor time
	burst = 300 * time.Millisecond
	// A rest pays off a part of what is owed beyond that: what breaks after a costly pass need not wait for all of it.
	part = 3
	// However much was spent, as in a first convergence: what breaks is seen to within a second.
	longestRest = 800 * time.Millisecond
)

// budget keeps account of the processor time that was spent.
type budget struct {
	debt  time.Duration // time that has yet to go by
	at    time.Time     // as of when
	spent time.Duration // until then
}

// forgive takes what has been spent since the last account off it.
func (b *budget) forgive(spent time.Duration) { b.spent = spent }

// spend notes how much processor time has been spent since the beginning, and returns how long to rest before the next
// pass.
func (b *budget) spend(now time.Time, spent time.Duration) time.Duration {
	b.debt = min(max(0, b.debt-now.Sub(b.at))+pace*(spent-b.spent), burst+part*longestRest)
	b.at, b.spent = now, spent
	return max(0, b.debt-burst) / part
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
