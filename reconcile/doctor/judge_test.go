package doctor

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// line is what a reader sees of a finding.
func line(f document.Finding) string {
	return strings.Join([]string{f.ID, f.Object, f.Remedy}, " | ")
}

// TestJudgeHealth has the conditions of a node as facts, and the findings that they give as text.
func TestJudgeHealth(t *testing.T) {
	failed := document.Condition{Status: "True", Reason: "NotConverged", Message: "1 object is missing"}
	notReady := document.Condition{Status: "False", Reason: "NotConverged", Message: "the bridge is missing"}
	stale := document.Condition{Status: "True", Reason: document.ReasonStalePods, Message: "2 pods have old addresses"}
	conflict := document.Condition{Status: "False", Reason: document.ReasonConflict, Message: "cni0 is somebody else's"}
	for name, c := range map[string]struct {
		facts Subject
		want  string
	}{
		"healthy":                       {Subject{}, ""},
		"not ready":                     {Subject{Ready: notReady}, "node-not-ready | this node | podnetctl apply"},
		"not ready, under a daemon":     {Subject{Ready: notReady, Daemon: true}, "node-not-ready | this node | podnetctl diff"},
		"not ready, and counted":        {Subject{Ready: notReady, Degraded: failed}, "node-not-ready | this node | podnetctl apply"},
		"degraded alone":                {Subject{Degraded: failed}, "node-degraded | this node | podnetctl apply"},
		"pods with old addresses":       {Subject{Degraded: stale}, "stale-pods | this node | podnetctl pods"},
		"a conflict is found by others": {Subject{Ready: conflict}, ""},
		"a node with a name": {Subject{Degraded: failed, Plan: &reconcile.Plan{View: reconcile.View{Node: &schema.Node{Name: "node-a"}}}},
			"node-degraded | node-a | podnetctl apply"},
	} {
		var got []string
		for _, f := range health(c.facts) {
			got = append(got, line(f))
		}
		if have := strings.Join(got, "\n"); have != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, have, c.want)
		}
	}
}

// TestJudgeConflistOrder has the runtime's directory as facts: what sorts before podnet's conflist
// is a finding.
func TestJudgeConflistOrder(t *testing.T) {
	f := Subject{Paths: state.DefaultPaths("/")}
	f.Host.Conflists = []string{"05-calico.conflist", "10-podnet.conflist", "90-other.conflist"}
	var got []string
	for _, finding := range conflistOrder(f) {
		got = append(got, line(finding))
	}
	const want = "conflist-order | /etc/cni/net.d/05-calico.conflist | " +
		"mv /etc/cni/net.d/05-calico.conflist /etc/cni/net.d/05-calico.conflist.disabled"
	if have := strings.Join(got, "\n"); have != want {
		t.Errorf("%s\nwant\n%s", have, want)
	}
}
