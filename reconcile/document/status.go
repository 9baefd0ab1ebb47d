package document

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
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
	Path     string    `json:"path"` // empty, like the next three: none is in force
	Digest   string    `json:"digest"`
	Origin   string    `json:"origin"` // file, last-good or trial
	LoadedAt time.Time `json:"loadedAt,omitzero"`
	OnDisk   OnDisk    `json:"onDisk"`
}

// OnDisk is what there is to say of the file that the operator writes.
type OnDisk struct {
	Digest   string           `json:"digest"` // empty: there is no file
	Accepted bool             `json:"accepted"`
	Reason   string           `json:"reason"`  // one word; empty if accepted
	Message  string           `json:"message"` // a sentence with the line and what to do
	Guard    *reconcile.Guard `json:"-"`       // what the guard says of a file that it has seen; nil: it has not
}

// PoolUse is how much of a podCIDR is in use. Total is capped at 2^53-1, the largest number that
// JSON readers agree on.
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

// DecodeStatus decodes a status, which a newer podnet may have written. It drops the fields and
// conditions that this podnet does not know, because it cannot know what they ask of anybody.
func DecodeStatus(b []byte) (*NodeStatus, error) {
	s := new(NodeStatus)
	if err := json.Unmarshal(b, s); err != nil {
		return nil, err
	}
	known := []string{Ready, Degraded, StaleTopology, Foreign, Contention, ConfirmPending}
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c Condition) bool { return !slices.Contains(known, c.Type) })
	return s, nil
}

// NewNodeStatus returns a status that says nothing yet. Its lists are empty, not null, because
// readers count them.
func NewNodeStatus() *NodeStatus {
	return &NodeStatus{
		APIVersion: schema.APIVersion, Kind: "NodeStatus", PodCIDRs: []string{}, Conditions: []Condition{},
		Addresses: map[string]PoolUse{}, Resources: map[string]int{}, HealedTotal: map[string]int{}, LastHealed: []Healed{},
	}
}
