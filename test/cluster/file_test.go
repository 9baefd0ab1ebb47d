package cluster

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// stale fails the test unless the node reports that the file on disk is not in force, and why.
func stale(t *testing.T, n *lab.Node, onDisk string) lab.Condition {
	t.Helper()
	var c lab.Condition
	lab.Eventually(t, lab.Patience, "StaleTopology", func() error {
		n.AwaitCondition("StaleTopology", "True")
		s, err := n.Status()
		if err != nil {
			return err
		}
		c = s.Condition("StaleTopology")
		if s.Topology.OnDisk.Digest != lab.Digest(onDisk) {
			return &mismatch{s.Topology.OnDisk.Digest, lab.Digest(onDisk)}
		}
		if s.Topology.OnDisk.Accepted || s.Topology.OnDisk.Reason == "" || c.Reason == "" || c.Message == "" {
			t.Errorf("want a reason and a message: on disk %+v, condition %+v", s.Topology.OnDisk, c)
		}
		return nil
	})
	return c
}

type mismatch struct{ got, want string }

func (m *mismatch) Error() string { return "digest on disk " + m.got + ", want " + m.want }

// A file that arrives in part changes nothing, wherever it was cut.
func TestTornFile(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c")
	n := l.Nodes[0]
	whole := topology.String()
	before := n.State()
	for _, c := range []struct{ name, content string }{
		{"half", whole[:len(whole)/2]},
		{"empty", ""},
		{"without its last byte", whole[:len(whole)-1]},
		{"in the middle of a scalar", whole[:strings.LastIndex(whole, "192.0.2.")+4]},
		{"another kind", strings.Replace(whole, "ClusterTopology", "Cluster", 1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.Write(c.content)
			stale(t, n, c.content)
			unchanged(t, n, before, "a bad file")
			out := n.Podnetctl("status")
			exits(t, out, 1, "status")
			if !strings.Contains(out.Stdout, "StaleTopology") {
				t.Errorf("status does not say StaleTopology:\n%s", out.Stdout)
			}
			// It heals on the last good file meanwhile.
			n.Sh("ip route del " + lab.PodCIDR4(1))
			lab.Eventually(t, lab.Patience, "healed", func() error { return n.CheckPeers(topology) })
			n.Write(whole)
			n.AwaitInForce()
		})
	}
}

// Most peers gone, and nobody said that they leave: that is an accident.
func TestRemovalGuard(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c", "node-d")
	n := l.Nodes[0]
	before := n.State()
	next := topology.Without("node-c").Without("node-d")
	n.Write(next.String())
	c := stale(t, n, next.String())
	if c.Reason != "RemovalGuard" || !strings.Contains(c.Message, "removedNodes") {
		t.Errorf("condition %+v, want reason RemovalGuard and the way on", c)
	}
	unchanged(t, n, before, "a refused file")
	exits(t, n.Podnetctl("validate", "--against", n.Path(lab.LastGoodPath), n.Path(lab.TopologyPath)), 1, "validate --against")

	next.Removed = []string{"node-c", "node-d"}
	n.Write(next.String())
	n.AwaitInForce()
	if err := n.CheckPeers(next); err != nil {
		t.Error(err)
	}
}

func TestAllowDisruption(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c", "node-d")
	n := l.Nodes[0]
	next := topology.Without("node-c").Without("node-d")
	n.Write(next.String())
	stale(t, n, next.String())
	exits(t, n.Podnetctl("apply"), 1, "apply of a refused file")
	exits(t, n.Podnetctl("apply", "--allow-disruption"), 0, "apply --allow-disruption")
	if err := n.CheckPeers(next); err != nil {
		t.Error(err)
	}
	n.Stop()
	n.Start()
	n.AwaitInForce()
}

// Without a file a node that has never had one waits for it and makes nothing.
func TestNoFileAtStart(t *testing.T) {
	l := lab.New(t)
	n := l.Node("node-a")
	l.Node("node-b")
	before := n.Network()
	d := n.Launch("--log-level", "debug")
	c := n.AwaitCondition("Ready", "False")
	if c.Reason != "Missing" || !strings.Contains(c.Message, n.Path(lab.TopologyPath)) {
		t.Errorf("condition %+v", c)
	}
	exits(t, n.Podnetctl("status"), 1, "status without a file")
	if d.Ended() {
		t.Fatalf("podnetd ended:\n%s", d.Log())
	}
	if err := lab.SameState(before, n.Network()); err != nil {
		t.Errorf("without a file podnetd made something:\n%v", err)
	}
	topology := l.Topology()
	n.Write(topology.String())
	n.AwaitInForce()
	if err := n.CheckPeers(topology); err != nil {
		t.Error(err)
	}
}

// A file that is bad or gone when podnetd starts: the last good one holds.
func TestLastGoodAtStart(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	before := n.State()
	for _, c := range []struct {
		name string
		harm func()
	}{
		{"bad", func() { n.Write("nodes: [") }},
		{"missing", func() {
			if err := os.Remove(n.Path(lab.TopologyPath)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.Stop()
			c.harm()
			n.Sh("ip link del podnet.1")
			n.Start()
			lab.Eventually(t, lab.Patience, "peers of the last good file", func() error { return n.CheckPeers(topology) })
			lab.Eventually(t, lab.Patience, "as before", func() error { return lab.SameState(before, n.State()) })
			s, err := n.Status()
			if err != nil || s.Topology.Origin != "last-good" || s.Condition("StaleTopology").Status != "True" {
				t.Errorf("origin %q, conditions %+v, %v", s.Topology.Origin, s.Conditions, err)
			}
			exits(t, n.Podnetctl("status"), 1, "status")
		})
	}
	n.Write(topology.String())
	n.AwaitInForce()
}

// A file that this host cannot follow changes nothing: the last good one stays in force, and goes
// on being healed.
func TestImpossibleFile(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	for i := range topology.Nodes {
		topology.Nodes[i].PodCIDRs = topology.Nodes[i].PodCIDRs[:1] // IPv4 needs no great MTU
	}
	n.Sh("ip link set eth0 mtu 1300")
	n.Write(topology.String())
	n.Start()
	n.AwaitInForce()
	n.Write(l.Topology().String())
	c := n.AwaitCondition("StaleTopology", "True")
	if c.Reason != "Impossible" || !strings.Contains(c.Message, "1280") {
		t.Errorf("condition %+v", c)
	}
	n.Sh("ip route del 10.244.1.0/24")
	lab.Eventually(t, lab.Patience, "healed", func() error { return n.CheckPeers(topology) })
	n.Restart()
	if c := n.AwaitCondition("StaleTopology", "True"); c.Reason != "Impossible" {
		t.Errorf("after a restart: %+v", c)
	}
}

// What is no file does not hold the daemon up, and neither does somebody else's lock.
func TestNothingHoldsTheDaemonUp(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Sh("rm " + n.Path(lab.TopologyPath))
	n.Sh("mkfifo " + n.Path(lab.TopologyPath))
	if c := n.AwaitCondition("StaleTopology", "True"); c.Reason != "Unreadable" && c.Reason != "Missing" {
		t.Errorf("condition %+v", c)
	}
	n.Sh("ip route del 10.244.1.0/24")
	lab.Eventually(t, lab.Patience, "healed", func() error { return n.CheckPeers(l.Topology()) })

	// A directory in the place of status.json, as a bind mount of a file leaves that is not there
	// yet: the network goes on, and status says what it can see and what to do.
	n.Must("sh", "-c", "until mkdir $1 2>/dev/null; do rm -f $1; done", "-", n.Path(lab.StatusPath))
	n.Sh("ip route del 10.244.1.0/24")
	lab.Eventually(t, lab.Patience, "healed", func() error { return n.CheckPeers(l.Topology()) })
	remedy := fmt.Sprintf("mv %s %[1]s.old", n.Path(lab.StatusPath))
	out := n.Podnetctl("status")
	if text := strings.Join(strings.Fields(out.Stdout), " "); out.Code != 1 || !strings.Contains(text, "is a directory, not a file (move it away: "+remedy+")") {
		t.Errorf("status beside a directory: %+v", out)
	}
	n.Sh(remedy)
	n.Sh("ip route del 10.244.1.0/24")
	lab.Eventually(t, lab.Patience, "a status again", func() error { _, err := n.Status(); return err })

	lock, err := os.OpenFile(n.Path("/run/podnet/lock"), os.O_RDWR, 0)
	if err == nil {
		err = unix.Flock(int(lock.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	n.Sh("ip route del 10.244.1.0/24") // for a pass that has to wait
	if code := n.Stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
