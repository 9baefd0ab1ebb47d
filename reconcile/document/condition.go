package document

import (
	"slices"
	"time"
)

// Condition is one thing that an operator may have to know.
type Condition struct {
	Type               string    `json:"type"`
	Status             string    `json:"status"` // True, False or Unknown
	Reason             string    `json:"reason"`
	Message            string    `json:"message"`
	LastTransitionTime time.Time `json:"lastTransitionTime"`
}

// The conditions' types.
const (
	Ready         = "Ready"
	Degraded      = "Degraded"
	StaleTopology = "StaleTopology"
	Foreign       = "Conflict"
	Contention    = "Contention"

	ConfirmPending = "ConfirmPending"
)

// The reasons of conditions that readers compare with.
const (
	ReasonPassFailed = "PassFailed" // not everything could be looked at, or be had
	ReasonConflict   = "Conflict"   // not Ready: podnet's objects have no effect
	ReasonLockHeld   = "LockHeld"   // Degraded: another process keeps the node's lock, and nothing is healed
	ReasonStalePods  = "StalePods"  // Degraded, although the node is in sync: pods have addresses of other ranges
)

// Condition returns the condition of a type, and the zero Condition if the status has none.
func (s *NodeStatus) Condition(typ string) Condition {
	for _, c := range s.Conditions {
		if c.Type == typ {
			return c
		}
	}
	return Condition{}
}

// Put replaces the condition of the same type, or adds it. Statuses that share a list of conditions
// do not notice.
func (s *NodeStatus) Put(c Condition) {
	others := slices.DeleteFunc(slices.Clone(s.Conditions), func(old Condition) bool { return old.Type == c.Type })
	s.Conditions = append(others, c)
}
