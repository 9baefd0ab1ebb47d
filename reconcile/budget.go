package reconcile

import "time"

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
