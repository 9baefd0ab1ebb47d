package cluster

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// Upgrades and crashes are invisible: nothing in the kernel changes, and not one ping of a stream
// between pods on two nodes is lost.
func TestRestartIsInvisible(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	a, b := n.Pod("web"), l.Nodes[1].Pod("db")
	reach(t, a, b)
	before := n.State()
	for _, c := range []struct {
		name string
		end  func()
	}{
		{"restart", func() {
			if code := n.Stop(); code != 0 {
				t.Errorf("SIGTERM: exit code %d, want 0", code)
			}
		}},
		{"kill -9 and start", n.Kill9},
	} {
		t.Run(c.name, func(t *testing.T) {
			floods := []*lab.Flood{a.Flood(b.Addr4()), a.Flood(b.Addr6())}
			c.end()
			unchanged(t, n, before, "the end of podnetd")
			n.Start()
			n.AwaitInForce()
			unchanged(t, n, before, "the start of podnetd")
			for _, f := range floods {
				if answered, lost := f.Stop(); len(lost) > 0 {
					t.Errorf("%d of %d pings lost: %v", len(lost), answered+len(lost), lost)
				}
			}
			s, err := n.Status()
			if err != nil || s.LastPass.Created+s.LastPass.Updated+s.LastPass.Deleted+s.LastPass.Failed > 0 {
				t.Errorf("last pass %+v, %v; want one without anything to do", s.LastPass, err)
			}
		})
	}
}

// What changed in the file while podnetd was down is caught up with at its start, removals
// included.
func TestChangesWhileDown(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c")
	n := l.Nodes[0]
	n.Stop()
	next := topology.Without("node-c")
	next.Removed = []string{"node-c"}
	n.Write(next.String())
	n.Start()
	n.AwaitInForce()
	if err := n.CheckPeers(next); err != nil {
		t.Error(err)
	}
}

// What podnetd has healed is known after its end, a pass of the command line and a restart; and so
// is when it ended.
func TestEndIsKnown(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Sh("ip route del " + lab.PodCIDR4(1))
	healed := func() error {
		s, err := n.Status()
		if err == nil && (len(s.LastHealed) == 0 || s.LastHealed[0].Name != lab.PodCIDR4(1)) {
			err = fmt.Errorf("healed %v", s.LastHealed)
		}
		return err
	}
	lab.Eventually(t, lab.Patience, "the route healed", healed)
	before := time.Now()
	n.Stop()
	if s, err := n.Status(); err != nil || s.WrittenAt.Before(before) {
		t.Errorf("%v: the status is of %s, and podnetd ended after %s", err, s.WrittenAt, before)
	}
	exits(t, n.Podnetctl("apply"), 0, "apply without podnetd")
	if err := healed(); err != nil {
		t.Errorf("after apply: %v", err)
	}
	n.Start()
	if err := healed(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if s, err := n.Status(); err != nil || s.Healed() != 0 {
		t.Errorf("%v: %v healed since the start", err, s.HealedTotal)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	before := n.State()
	for _, root := range []string{n.Root, t.TempDir()} {
		out := n.Execute(lab.Program("podnetd"), "--root", root, "--node", n.Host, "--metrics-addr", "")
		exits(t, out, 2, "a second podnetd")
		if lines := strings.Count(strings.TrimSpace(out.Stderr), "\n"); lines != 0 {
			t.Errorf("want one sentence:\n%s", out.Stderr)
		}
	}
	unchanged(t, n, before, "a second podnetd")
	exits(t, n.Podnetctl("status"), 0, "status of the first")
}
