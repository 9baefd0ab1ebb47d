package lab

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Status is what a test reads of a NodeStatus.
type Status struct {
	APIVersion string
	Kind       string
	Node       string
	IP         string
	MTU        int
	InSync     bool
	Peers      int
	Daemon     struct {
		PID           int
		ResyncSeconds float64
	}
	Topology struct {
		Path, Digest, Origin string
		OnDisk               struct {
			Digest          string
			Accepted        bool
			Reason, Message string
		}
	}
	Resources map[string]int
	LastPass  struct {
		At                                time.Time
		DurationSeconds                   float64
		Created, Updated, Deleted, Failed int
	}
	HealedTotal map[string]int
	LastHealed  []struct{ Kind, Name string }
	Conditions  []Condition
	WrittenAt   time.Time
}

// Condition is one entry of a status' conditions.
type Condition struct{ Type, Status, Reason, Message string }

// Condition returns the entry of a type; the zero value if the status has none.
func (s Status) Condition(kind string) Condition {
	for _, c := range s.Conditions {
		if c.Type == kind {
			return c
		}
	}
	return Condition{}
}

// Healed is how many objects the daemon put back so far.
func (s Status) Healed() int {
	total := 0
	for _, n := range s.HealedTotal {
		total += n
	}
	return total
}

// Status reads what podnetd wrote after its last pass.
func (n *Node) Status() (Status, error) {
	var s Status
	data, err := n.ReadFile(StatusPath)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(data), &s); err != nil {
		return s, fmt.Errorf("status.json: %w", err)
	}
	return s, nil
}

// AwaitInForce waits until the daemon runs the topology now on disk and the node is in sync.
func (n *Node) AwaitInForce() time.Duration {
	n.lab.Helper()
	content, err := n.ReadFile(TopologyPath)
	n.lab.must(err)
	want := Digest(content)
	return Eventually(n.lab, Patience, n.Host+": the new topology in force", func() error {
		s, err := n.Status()
		if err != nil {
			return err
		}
		onDisk := s.Topology.OnDisk
		if s.Topology.Digest != want || onDisk.Digest != want || !onDisk.Accepted || !s.InSync {
			return fmt.Errorf("in force %.19s, want %.19s; on disk %+v; in sync: %v; conditions %v",
				s.Topology.Digest, want, onDisk, s.InSync, s.Conditions)
		}
		return nil
	})
}

// AwaitCondition waits until the daemon reports a condition with a status such as "True", and with all words in its
// message. A condition about something else, whose end the daemon has not seen yet, is not the awaited one.
func (n *Node) AwaitCondition(kind, status string, words ...string) Condition {
	n.lab.Helper()
	var c Condition
	Eventually(n.lab, Patience, fmt.Sprintf("%s: condition %s=%s %q", n.Host, kind, status, words), func() error {
		s, err := n.Status()
		if err != nil {
			return err
		}
		c = s.Condition(kind)
		lacks := func(word string) bool { return !strings.Contains(c.Message, word) }
		if c.Status != status || slices.ContainsFunc(words, lacks) {
			return fmt.Errorf("conditions are %+v", s.Conditions)
		}
		return nil
	})
	return c
}
