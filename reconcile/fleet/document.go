package fleet

import (
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
)

// OtherFile is the reason of nodes that are in sync with another file than they should be.
const OtherFile = "another file than expected"

// Document is the status for other programs.
func (s *Status) Document() *document.FleetStatus {
	d := &document.FleetStatus{
		APIVersion: schema.APIVersion, Kind: "FleetStatus", Good: s.Good(),
		Expected: document.FleetExpectation{Digest: s.Digest, Nodes: s.Count}, Groups: []document.FleetGroup{},
		Missing: append([]string{}, s.Missing...), Strangers: append([]string{}, s.Strangers...),
		MTUs: append([]document.MTU{}, s.MTUs...),
	}
	for _, g := range s.Groups {
		r := document.FleetGroup{
			Digest: g.Digest, InSync: g.Verdict == InSync, Failed: g.Verdict == NotInSync,
			Reason: g.Reason, Detail: g.Detail, Nodes: g.Nodes,
		}
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
