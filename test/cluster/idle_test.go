package cluster

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// A pass with nothing to do sends no message that changes something: strace decodes every netlink message of the
// program and its children, and each must be a question.
func TestIdlePassOnlyAsks(t *testing.T) {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing")
	}
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Pod("web")
	n.Stop()
	before := n.State()
	sent, opened := straced(t, n, "apply")
	t.Logf("messages sent: %v", sent)
	for kind, count := range sent {
		if !asks(kind) {
			t.Errorf("%d times %s, which changes something", count, kind)
		}
	}
	if sent["RTM_GETROUTE"] == 0 || sent["RTM_GETLINK"] == 0 {
		t.Error("no question seen either: the count is worth nothing")
	}
	for _, path := range opened {
		if strings.HasPrefix(path, "/proc/sys") {
			t.Errorf("%s opened for writing", path)
		}
	}
	unchanged(t, n, before, "a pass with nothing to do")

	// The same count sees a change where there is one.
	n.Sh("ip route del " + lab.PodCIDR4(1))
	if sent, _ := straced(t, n, "apply"); sent["RTM_NEWROUTE"] != 1 {
		t.Errorf("one route to make, messages sent: %v", sent)
	}
}

// asks says whether a type of message leaves the kernel as it is. iptables frames its questions in no batch.
func asks(kind string) bool {
	return strings.HasPrefix(kind, "RTM_GET") || strings.Contains(kind, "NFT_MSG_GET") || kind == "NLMSG_DONE" ||
		strings.Contains(kind, "SOCK_DIAG")
}

var (
	messageType = regexp.MustCompile(`nlmsg_type=([^,]+),`)
	openForW    = regexp.MustCompile(`open(?:at)?\(.*"([^"]*)", [^)]*O_(?:WRONLY|RDWR)`)
)

// straced runs podnetctl under strace and counts the netlink messages sent by type; opened are the files opened for
// writing.
func straced(t *testing.T, n *lab.Node, verb string) (sent map[string]int, opened []string) {
	t.Helper()
	trace, err := os.CreateTemp(t.TempDir(), "strace")
	if err != nil {
		t.Fatal(err)
	}
	defer trace.Close()
	out := n.Execute("strace", "-f", "-qq", "-v", "-s", "100000", "-e", "trace=sendto,sendmsg,sendmmsg,write,open,openat",
		"-o", trace.Name(), lab.Program("podnetctl"), "--root", n.Root, "--node", n.Host, verb)
	exits(t, out, 0, verb+" under strace")
	data, err := os.ReadFile(trace.Name())
	if err != nil {
		t.Fatal(err)
	}
	sent = map[string]int{}
	for _, line := range strings.Split(string(data), "\n") {
		for _, m := range messageType.FindAllStringSubmatch(line, -1) {
			sent[m[1]]++
		}
		if m := openForW.FindStringSubmatch(line); m != nil {
			opened = append(opened, m[1])
		}
	}
	if len(sent) == 0 {
		t.Fatalf("strace decoded no netlink message:\n%.2000s", data)
	}
	slices.Sort(opened)
	return maps.Clone(sent), slices.Compact(opened)
}
