package fleet

import "github.com/podnet/podnet/schema"

// Document is a Status for other programs.
type Document struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Good       bool           `json:"good"` // everybody is there, in sync and on the same, expected file
	Expected   ExpectedReport `json:"expected"`
	Groups     []GroupReport  `json:"groups"`
	Missing    []string       `json:"missing"`
	Strangers  []string       `json:"strangers"` // report, and are not in the topology
	MTUs       []MTU          `json:"mtus"`
}

// ExpectedReport is what the nodes are held against.
type ExpectedReport struct {
	Digest string `json:"digest"` // "": nothing was said of it
	Nodes  int    `json:"nodes"`  // how many there should be; 0: no topology was given
}

// GroupReport is nodes that say the same.
type GroupReport struct {
	Digest string   `json:"digest"` // in force, or proposed
	InSync bool     `json:"inSync"`
	Failed bool     `json:"failed"` // not in sync, refused or broken; false for a plan that only has something to do
	Reason string   `json:"reason"`
	Detail string   `json:"detail,omitempty"`
	Impact string   `json:"impact,omitempty"` // of plans
	Nodes  []string `json:"nodes"`
}

// OtherFile is the reason of nodes that are in sync with another file than they should be.
const OtherFile = "another file than expected"

// Document is the status for other programs.
func (s *Status) Document() *Document {
	d := &Document{
		APIVersion: schema.APIVersion, Kind: "FleetStatus", Good: s.Good(), Expected: ExpectedReport{s.Digest, s.Count},
		Groups: []GroupReport{}, Missing: append([]string{}, s.Missing...), Strangers: append([]string{}, s.Strangers...), MTUs: append([]MTU{}, s.MTUs...),
	}
	for _, g := range s.Groups {
		r := GroupReport{Digest: g.Digest, InSync: g.Verdict == InSync, Failed: g.Verdict == NotInSync, Reason: g.Reason, Detail: g.Detail, Nodes: g.Nodes}
		if s.Unexpected(g.Digest) && r.Reason == "" {
			r.Reason = OtherFile
		}
		if s.Plans {
			r.Impact = string(g.Impact)
		}
		d.Groups = append(d.Groups, r)
	}
	return d
}
