package cluster

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// The daemon likewise: starting on a node where all is well, then pass after pass.
func TestIdleDaemonOnlyAsks(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing")
	}
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Pod("web")
	n.Stop()
	before := n.State()
	trace := n.Traced("timeout", "--signal=TERM", "2.5", lab.Program("podnetd"), "--root", n.Root, "--node", n.Host, "--resync", "1s")
	t.Logf("messages sent: %v", trace.Sent)
	if trace.Code != 124 {
		t.Fatalf("podnetd did not last: exit code %d\n%s", trace.Code, trace.Stderr)
	}
	if m := trace.Mutating(); len(m) > 0 {
		t.Errorf("messages that change something: %v", m)
	}
	if trace.Sent["RTM_GETROUTE"] < 4 {
		t.Errorf("messages sent: %v; want those of several passes", trace.Sent)
	}
	unchanged(t, n, before, "a daemon with nothing to do")
}

// A pass with nothing to do sends no message that changes something: strace decodes every netlink
// message of the program and its children, and each must be a question.
func TestIdlePassOnlyAsks(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing")
	}
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Pod("web")
	n.Stop()
	before := n.State()
	apply := []string{lab.Program("podnetctl"), "--root", n.Root, "--node", n.Host, "apply"}
	trace := n.Traced(apply...)
	exits(t, trace.Output, 0, "apply under strace")
	t.Logf("messages sent: %v", trace.Sent)
	if m := trace.Mutating(); len(m) > 0 {
		t.Errorf("messages that change something: %v", m)
	}
	if trace.Sent["RTM_GETROUTE"] == 0 || trace.Sent["RTM_GETLINK"] == 0 {
		t.Error("no question seen either: the count is worth nothing")
	}
	for _, path := range trace.Opened {
		if strings.HasPrefix(path, "/proc/sys") {
			t.Errorf("%s opened for writing", path)
		}
	}
	unchanged(t, n, before, "a pass with nothing to do")

	// The same count sees a change where there is one.
	n.Sh("ip route del " + lab.PodCIDR4(1))
	if trace := n.Traced(apply...); trace.Mutating()["RTM_NEWROUTE"] != 1 {
		t.Errorf("one route to make, messages sent: %v", trace.Sent)
	}
}
