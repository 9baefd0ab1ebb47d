package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/pods"
)

// NodeStatus is /run/podnet/status.json: what the daemon last saw and did.
type NodeStatus struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Node       string   `json:"node"`
	IP         string   `json:"ip"`
	PodCIDRs   []string `json:"podCIDRs"`
	MTU        int      `json:"mtu"` // of pods, bytes
	Version    string   `json:"version"`
	BootID     string   `json:"bootID"`

	WrittenAt time.Time      `json:"writtenAt"`
	Daemon    *DaemonStatus  `json:"daemon"` // nil: written by the command line, no daemon runs
	Topology  TopologyStatus `json:"topology"`

	InSync      bool               `json:"inSync"` // the kernel equals the topology in force
	Peers       int                `json:"peers"`
	Addresses   map[string]PoolUse `json:"addresses"` // by family: ipv4, ipv6
	Resources   map[string]int     `json:"resources"` // wanted objects, by kind
	LastPass    PassStatus         `json:"lastPass"`
	HealedTotal map[string]int     `json:"healedTotal"`        // since the daemon's start, by kind
	LastHealed  []Healed           `json:"lastHealed"`         // the last 20, newest first
	Progress    *Progress          `json:"progress,omitempty"` // of a pass that is under way
	Conditions  []Condition        `json:"conditions"`
}

// DaemonStatus is the daemon that wrote the status.
type DaemonStatus struct {
	PID           int       `json:"pid"`
	StartedAt     time.Time `json:"startedAt"`
	ResyncSeconds float64   `json:"resyncSeconds"`
}

// TopologyStatus is the topology in force, and the file on disk.
type TopologyStatus struct {
	Path     string         `json:"path"` // empty, like the next three: none is in force
	Digest   string         `json:"digest"`
	Origin   string         `json:"origin"` // file, last-good or trial
	LoadedAt time.Time      `json:"loadedAt,omitzero"`
	OnDisk   rollout.OnDisk `json:"onDisk"`
}

// PoolUse is how much of a podCIDR is in use. Total is capped at 2^53-1, the largest number that JSON readers agree on.
type PoolUse struct {
	Used  int   `json:"used"`
	Total int64 `json:"total"`
}

// Progress is how far a long pass has come, in objects.
type Progress struct {
	Done  int `json:"done"`
	Total int `json:"total"`
}

// PassStatus is the last pass.
type PassStatus struct {
	At              time.Time `json:"at"`
	DurationSeconds float64   `json:"durationSeconds"`
	Created         int       `json:"created"`
	Updated         int       `json:"updated"`
	Deleted         int       `json:"deleted"`
	Failed          int       `json:"failed"`
}

// Healed is one object that somebody else had changed and that was put right.
type Healed struct {
	At   time.Time `json:"at"`
	Op   string    `json:"op"`
	Kind string    `json:"kind"`
	Name string    `json:"name"`
	By   string    `json:"by,omitempty"` // who had changed it, where the kernel tells
}

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

// Condition finds a condition by type; the zero Condition if it is not there.
func (s *NodeStatus) Condition(typ string) Condition {
	for _, c := range s.Conditions {
		if c.Type == typ {
			return c
		}
	}
	return Condition{}
}

// put replaces the condition of the same type, or adds it. Statuses that share a list of conditions do not notice.
func (s *NodeStatus) put(c Condition) {
	others := slices.DeleteFunc(slices.Clone(s.Conditions), func(old Condition) bool { return old.Type == c.Type })
	s.Conditions = append(others, c)
}

// ReadStatus reads a status file; an error that is fs.ErrNotExist: nothing has written one since boot.
func ReadStatus(path string) (*NodeStatus, error) {
	const most = 16 << 20 // bytes
	b, err := files.ReadFile(path, most)
	if err != nil {
		return nil, err
	}
	s, err := DecodeStatus(b)
	if err != nil {
		return nil, fmt.Errorf("%s is no status: %w (the next pass replaces it: podnetctl apply)", path, err)
	}
	return s, nil
}

// DecodeStatus decodes a status, perhaps of a newer podnet: fields and types of conditions that this one does not know are
// not there for it, because it cannot know what they ask of anybody.
func DecodeStatus(b []byte) (*NodeStatus, error) {
	s := new(NodeStatus)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	known := []string{Ready, Degraded, StaleTopology, Foreign, Contention, ConfirmPending}
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c Condition) bool { return !slices.Contains(known, c.Type) })
	return s, nil
}

// Write replaces a status file.
func (s *NodeStatus) Write(path string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	return files.ReplaceFile(path, append(b, '\n'), 0o644)
}

// Pass is everything that one pass has seen and done.
type Pass struct {
	Verdict rollout.Verdict
	Plan    *reconcile.Plan // nil: it did not come that far
	Err     error
	At      time.Time
	Took    time.Duration
	Ruler   kernel.Author // who had changed nftables last before the pass

	Squatter  string // who holds the daemon's socket and cannot be a daemon; "": nobody
	Contended int    // objects that somebody else keeps changing
}

// newStatus says nothing yet: its lists are empty, not null, as readers count them.
func newStatus() *NodeStatus {
	return &NodeStatus{
		APIVersion: schema.APIVersion, Kind: "NodeStatus", PodCIDRs: []string{}, Conditions: []Condition{},
		Addresses: map[string]PoolUse{}, Resources: map[string]int{}, HealedTotal: map[string]int{}, LastHealed: []Healed{},
	}
}

// Status is a pass in the form of a status, apart from what only the daemon knows. before is the status until now, for the
// times of the transitions.
func (p *Pass) Status(before *NodeStatus) *NodeStatus {
	s := newStatus()
	s.WrittenAt = p.At.Add(p.Took)
	s.LastPass = PassStatus{At: p.At, DurationSeconds: p.Took.Seconds()}
	s.Topology.OnDisk = p.Verdict.OnDisk
	if v := p.Verdict; v.Topology != nil {
		s.Topology.Path, s.Topology.Digest, s.Topology.Origin, s.Topology.LoadedAt = v.Path, v.Topology.Digest, v.Origin, v.KeptAt
	}
	if p.Plan != nil {
		s.addPlan(p.Plan)
	}
	s.InSync = p.InSync()
	s.Conditions = p.conditions(before)
	return s
}

// InSync says that the kernel equals the topology in force after the pass.
func (p *Pass) InSync() bool {
	if p.Plan == nil || p.Err != nil || len(p.Plan.Errors()) > 0 || len(p.Plan.Counting()) > 0 {
		return false
	}
	for _, step := range p.Plan.Steps {
		if step.Result != reconcile.Done {
			return false
		}
	}
	return true
}

func (s *NodeStatus) addPlan(p *reconcile.Plan) {
	s.Node, s.IP, s.MTU = p.Node.Name, p.Node.IP.String(), state.MTU(p.Topology, p.Node, p.Facts)
	for _, c := range p.Node.PodCIDRs {
		s.PodCIDRs = append(s.PodCIDRs, c.String())
	}
	s.Peers = p.Want.FDB.Len()
	for k := range state.Kind(state.KindCount) {
		if n := p.Want.Count(k); n > 0 {
			s.Resources[k.String()] += n
		}
	}
	for _, step := range p.Steps {
		switch {
		case step.Result == reconcile.Failed:
			s.LastPass.Failed++
		case step.Result != reconcile.Done:
		case step.Op == state.Create:
			s.LastPass.Created++
		case step.Op == state.Update:
			s.LastPass.Updated++
		case step.Op == state.Delete:
			s.LastPass.Deleted++
		}
	}
}

// CountAddresses fills in how much of the node's podCIDRs is in use, and says so if pods have addresses of other ranges. before is
// the status until now, for the time of that transition.
func (s *NodeStatus) CountAddresses(node *kernel.Node, paths state.Paths, p *Pass, before *NodeStatus) error {
	if p.Plan == nil {
		return nil
	}
	network, cidrs := p.Plan.Topology.Network.CNI.Name, p.Plan.Node.PodCIDRs
	count, err := pods.CountLeases(paths, network, cidrs)
	for _, cidr := range cidrs {
		family := "ipv6"
		if cidr.Addr().Is4() {
			family = "ipv4"
		}
		s.Addresses[family] = PoolUse{Used: count.Used[cidr], Total: pods.PoolSize(cidr)}
	}
	stale, failed := pods.StalePods(node, network, count.Outside)
	if stale > 0 && s.Condition(Degraded).Status == "False" {
		s.put(since(condition(Degraded, true, ReasonStalePods, stalePods(stale, cidrs)), p.At, before))
	}
	return errors.Join(err, failed)
}

// ReasonStalePods is why a node is Degraded that is in sync.
const ReasonStalePods = "StalePods"

func stalePods(n int, cidrs []netip.Prefix) string {
	if len(cidrs) == 0 {
		return fmt.Sprintf("the node has no podCIDR, and pods that had an address when it had one are still there, %d: end them (podnetctl pods)", n)
	}
	var ranges []string
	for _, p := range cidrs {
		ranges = append(ranges, p.String())
	}
	if outside := strings.Join(ranges, ", "); n > 1 {
		return fmt.Sprintf("%d pods have an address outside of %s: restart them (podnetctl pods)", n, outside)
	} else {
		return fmt.Sprintf("1 pod has an address outside of %s: restart it (podnetctl pods)", outside)
	}
}
