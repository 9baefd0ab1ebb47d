package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// stranger is a podnetd on a node's files in a network namespace that has not the node's ip:
// another container's, say, or the host's of a machine that was copied with its disk. stop ends it.
func stranger(t *testing.T, n *lab.Node) (stop func()) {
	t.Helper()
	log, err := os.Create(n.Path("stranger.log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--net", lab.Program("podnetd"), "--root", n.Root, "--node", n.Host, "--metrics-addr", "", "--resync", "1s")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = func() {
		_ = cmd.Process.Signal(unix.SIGTERM)
		_ = cmd.Wait()
		log.Close()
	}
	lab.Eventually(t, lab.Patience, "the other podnetd has made a pass", func() error {
		data, err := n.ReadFile("stranger.log")
		if err == nil && !strings.Contains(data, "NodeIPMissing") {
			err = fmt.Errorf("its log:\n%s", data)
		}
		return err
	})
	return stop
}

// belongings are the files of a node that another podnetd has no business with: names, contents,
// and whether they are the same files.
func belongings(t *testing.T, n *lab.Node) string {
	t.Helper()
	var all []string
	for _, path := range []string{"/etc/cni/net.d/10-podnet.conflist", lab.LastGoodPath, "/var/lib/cni/networks/podnet"} {
		info, err := os.Stat(n.Path(path))
		if err != nil {
			all = append(all, err.Error())
			continue
		}
		data, _ := n.ReadFile(path) // of a directory there is none
		all = append(all, fmt.Sprint(path, " ", info.ModTime(), " ", data))
	}
	leases, err := os.ReadDir(n.Path("/var/lib/cni/networks/podnet"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(append(all, fmt.Sprint(leases)), "\n")
}

// A podnetd without the node's ip leaves alone what is a living node's: leases, conflist, last good
// topology, and the status of its podnetd. It does so while that one runs, and while it does not.
func TestPodnetdInAnotherNetworkNamespace(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Pod("web")
	before := belongings(t, n)
	own, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	stop := stranger(t, n)
	if s, err := n.Status(); err != nil || s.Daemon.PID != own.Daemon.PID {
		t.Errorf("the status is of process %d, want %d (%v)", s.Daemon.PID, own.Daemon.PID, err)
	}
	if now := belongings(t, n); now != before {
		t.Errorf("beside podnetd it has changed\n%s\nto\n%s", before, now)
	}
	stop()
	n.Stop()
	stop = stranger(t, n)
	if now := belongings(t, n); now != before {
		t.Errorf("without podnetd it has changed\n%s\nto\n%s", before, now)
	}
	n.Start()
	n.AwaitInForce()
	if err := n.CheckPeers(topology); err != nil {
		t.Error(err)
	}
	stop()
}

// A podnetd whose node's ip comes late has no conflist and no last good topology until then, and
// both at once after that.
func TestNoConflistBeforeTheIP(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	ip := topology.Nodes[0].IP
	takeIP(n, ip)
	n.Start()
	n.AwaitCondition("Ready", "False")
	for _, path := range []string{"/etc/cni/net.d/10-podnet.conflist", lab.LastGoodPath} {
		if _, err := n.ReadFile(path); err == nil {
			t.Errorf("%s is there before the node's ip", path)
		}
	}
	exits(t, n.Podnetctl("apply"), 1, "apply without the node's ip")
	if _, err := n.ReadFile("/etc/cni/net.d/10-podnet.conflist"); err == nil {
		t.Error("apply has written the conflist before the node's ip is there")
	}
	n.Must("ip", "addr", "add", ip+"/24", "dev", "eth0")
	n.AwaitInForce()
	for _, path := range []string{"/etc/cni/net.d/10-podnet.conflist", lab.LastGoodPath} {
		if _, err := n.ReadFile(path); err != nil {
			t.Error(err)
		}
	}
}
