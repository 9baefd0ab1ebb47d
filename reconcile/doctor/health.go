package doctor

import (
	"strings"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
)

// health makes a node that is not Ready, or Degraded, an error of its own: whatever the cause is,
// pods cannot start there, or something of podnet's is missing, and a node without any error has to
// be one that works.
func health(f Subject) []document.Finding {
	var out []document.Finding
	report := func(id string, c document.Condition) {
		out = append(out, document.Finding{
			ID: id, Severity: document.SeverityError, Object: f.node(), Owner: "podnet",
			Message: c.Message,
			Remedy:  f.lookAtNode(),
		})
	}
	conflict := f.Ready.Reason == document.ReasonConflict // a finding of its own
	if c := f.Ready; c.Status == "False" && !conflict && !strings.Contains(f.Refused.Message, c.Message) {
		report("node-not-ready", c)
	}
	counted := f.Degraded.Reason == "NotConverged" // it says how many objects are wanting, and Ready says which
	switch c := f.Degraded; {
	case c.Reason == document.ReasonStalePods:
		out = append(out, document.Finding{
			ID: "stale-pods", Severity: document.SeverityError, Object: f.node(), Owner: "the change of its ranges",
			Message: c.Message,
			Remedy:  "podnetctl pods",
		})
	case c.Status == "True" && c.Message != f.Ready.Message && !(counted && len(out) > 0):
		report("node-degraded", c)
	}
	return out
}

// node is this node's name, as far as a topology says it.
func (f Subject) node() string {
	if f.Plan == nil {
		return "this node"
	}
	return f.Plan.Node.Name
}

// lookAtNode is what to type about a node that is not as it should be. A daemon tries again by
// itself, so that another pass says no more than diff.
func (f Subject) lookAtNode() string {
	switch {
	case f.Ready.Reason == rollout.ReasonMissing:
		return "podnetctl status"
	case f.Daemon:
		return "podnetctl diff"
	}
	return "podnetctl apply"
}
