package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

const nextPath = "/etc/podnet/next.yaml"

// next is the topology with another network in everything that a trial can change: a peer
// elsewhere, another MTU, another bridge. It is written beside the one in place.
func next(n *lab.Node, topology lab.Topology) lab.Topology {
	last := len(topology.Nodes) - 1
	topology.Nodes = append(topology.Nodes[:last:last], topology.Nodes[last])
	topology.Nodes[last].IP = "192.0.2.99"
	topology.Extra = []string{"network: {mtu: 1400, bridge: {name: cni7}, vxlan: {name: podnet.7}}"}
	n.WriteFile(nextPath, topology.String())
	return topology
}

// seen is a trial that a busy machine's test still finds under way after the apply that began it.
const seen = "8s"

// awaitOver waits for the deadline of a trial that nobody ends.
func awaitOver(t *testing.T, n *lab.Node) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "the end of the trial", func() error {
		if out := n.Podnetctl("status"); !strings.Contains(out.Stdout, "over and not undone yet") {
			return fmt.Errorf("status says\n%s", out.Stdout)
		}
		return nil
	})
}

// cameBack waits until the kernel, the file in place and the last good one are as they were.
func cameBack(t *testing.T, n *lab.Node, kernel, file string) {
	t.Helper()
	gone(t, n, "cni7", "podnet.7")
	lab.Eventually(t, lab.Patience, "the network from before", func() error {
		if err := lab.SameState(kernel, n.State()); err != nil {
			return err
		}
		for _, path := range []string{lab.TopologyPath, lab.LastGoodPath} {
			if got, err := n.ReadFile(path); err != nil || got != file {
				return fmt.Errorf("%s is not the file from before (%v)", path, err)
			}
		}
		if _, err := os.Stat(n.Path("/var/lib/podnet/pending")); err == nil {
			return fmt.Errorf("the trial is still there")
		}
		return nil
	})
}

// gone waits until none of the devices is there, which are the last to go.
func gone(t *testing.T, n *lab.Node, devices ...string) {
	t.Helper()
	for _, device := range devices {
		lab.Eventually(t, lab.Patience, device+" gone", func() error {
			if _, err := n.Exec("ip", "link", "show", device); err == nil {
				return fmt.Errorf("%s is still there", device)
			}
			return nil
		})
	}
}

func TestTrial(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c")
	n := l.Nodes[0]
	before, file := n.State(), topology.String()
	tried := next(n, topology)

	t.Run("rolled back", func(t *testing.T) {
		exits(t, n.Podnetctl("apply", "--confirm", "1h", n.Path(nextPath)), 0, "apply --confirm")
		n.Sh("ip link show cni7")
		c := n.AwaitCondition("ConfirmPending", "True")
		if !strings.Contains(c.Message, "podnetctl confirm") {
			t.Errorf("condition %+v", c)
		}
		out := n.Podnetctl("status")
		exits(t, out, 1, "status of a trial")
		if !strings.Contains(out.Stdout, "podnetctl confirm") {
			t.Errorf("status says\n%s", out.Stdout)
		}
		if s, err := n.Status(); err != nil || s.Topology.Origin != "trial" || s.Topology.Digest != lab.Digest(tried.String()) {
			t.Errorf("topology %+v, %v", s.Topology, err)
		}
		exits(t, n.Podnetctl("apply", n.Path(lab.LastGoodPath)), 1, "another apply during a trial")
		exits(t, n.Podnetctl("apply", "--confirm", "1h", n.Path(lab.LastGoodPath)), 1, "a second trial")
		exits(t, n.Podnetctl("apply"), 0, "a pass during a trial")
		exits(t, n.Podnetctl("rollback"), 0, "rollback")
		cameBack(t, n, before, file)
		n.AwaitCondition("ConfirmPending", "False")
		exits(t, n.Podnetctl("status"), 0, "status after it")
	})
	t.Run("the machine pushes it again", func(t *testing.T) {
		n.Write(tried.String())
		if c := stale(t, n, tried.String()); c.Reason != "RolledBack" {
			t.Errorf("condition %+v", c)
		}
		unchanged(t, n, before, "a file that was rolled back")
		exits(t, n.Podnetctl("apply"), 1, "apply of what was rolled back")
		n.Write(file)
		n.AwaitInForce()
	})
	t.Run("confirmed", func(t *testing.T) {
		exits(t, n.Podnetctl("confirm"), 1, "confirm without a trial")
		exits(t, n.Podnetctl("rollback"), 1, "rollback without a trial")
		exits(t, n.Podnetctl("apply", "--confirm", "1h", n.Path(nextPath)), 0, "apply --confirm")
		n.Restart()
		if c := n.AwaitCondition("ConfirmPending", "True"); c.Status == "" {
			t.Error("a restart has ended the trial")
		}
		exits(t, n.Podnetctl("confirm"), 0, "confirm")
		n.AwaitCondition("ConfirmPending", "False")
		n.AwaitInForce()
		exits(t, n.Podnetctl("status"), 0, "status after it")
		if err := os.Remove(n.Path(lab.TopologyPath)); err != nil {
			t.Fatal(err)
		}
		n.Restart()
		n.Sh("ip link show cni7")
		n.Write(file)
		n.AwaitInForce()
		cameBack(t, n, before, file)
	})
	t.Run("not confirmed in time", func(t *testing.T) {
		exits(t, n.Podnetctl("apply", "--confirm", "2s", n.Path(nextPath)), 0, "apply --confirm")
		cameBack(t, n, before, file)
		exits(t, n.Podnetctl("confirm"), 1, "confirm after that")
	})
	t.Run("another file meanwhile", func(t *testing.T) {
		exits(t, n.Podnetctl("apply", "--confirm", "1h", n.Path(nextPath)), 0, "apply --confirm")
		n.Write(file)
		n.AwaitInForce()
		cameBack(t, n, before, file)
	})
}

// Whoever dies during a trial, it ends in time.
func TestTrialOutlives(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	before, file := n.State(), topology.String()
	next(n, topology)
	apply := []string{lab.Program("podnetctl"), "--root", n.Root, "--node", n.Host, "apply", "--confirm", seen, n.Path(nextPath)}

	t.Run("the daemon", func(t *testing.T) {
		exits(t, n.Execute(apply...), 0, "apply --confirm")
		n.Kill9()
		cameBack(t, n, before, file)
	})
	t.Run("without a daemon, its terminal", func(t *testing.T) {
		// script gives it a terminal, and hangs up when its command has ended; sh kills its whole
		// group before.
		line := strings.Join(apply, " ") + "; ip link show cni7 && echo tried; kill -HUP -$$; kill -9 -$$"
		out := n.Execute("script", "-qec", line, "/dev/null")
		if !strings.Contains(out.Stdout, "tried") {
			t.Fatalf("it was not tried:\n%s%s", out.Stdout, out.Stderr)
		}
		cameBack(t, n, before, file)
	})
	t.Run("without a daemon, whoever waits for its output", func(t *testing.T) {
		begin := time.Now()
		long := append([]string{}, apply...)
		long[len(long)-2] = "1h"
		exits(t, n.Execute("sh", "-c", strings.Join(long, " ")+" 9>&1 | cat"), 0, "apply --confirm in a pipe")
		if took := time.Since(begin); took > lab.Patience {
			t.Errorf("the pipe was held open for %v", took)
		}
		exits(t, n.Podnetctl("rollback"), 0, "rollback")
		cameBack(t, n, before, file)
	})
	t.Run("the process that waits; the next start makes up for it", func(t *testing.T) {
		exits(t, n.Execute(apply...), 0, "apply --confirm")
		kill(t, waiting(t, n))
		awaitOver(t, n)
		n.Sh("ip link show cni7")
		n.Start()
		cameBack(t, n, before, file)
		n.Kill9()
	})
	t.Run("the same, and an operator comes first, too late", func(t *testing.T) {
		exits(t, n.Execute(apply...), 0, "apply --confirm")
		kill(t, waiting(t, n))
		awaitOver(t, n)
		out := n.Podnetctl("confirm")
		exits(t, out, 1, "confirm after the deadline")
		if !strings.Contains(out.Stderr, "too late") {
			t.Errorf("confirm says %s%s", out.Stdout, out.Stderr)
		}
		cameBack(t, n, before, file)
	})
	t.Run("a reboot", func(t *testing.T) {
		exits(t, n.Podnetctl("apply", "--confirm", "1h", n.Path(nextPath)), 0, "apply --confirm")
		anotherBoot(t, n)
		n.Start()
		cameBack(t, n, before, file)
	})
	lab.Eventually(t, lab.Patience, "no process waits any more", func() error {
		if pids := waiting(t, n); len(pids) > 0 {
			return fmt.Errorf("processes %v", pids)
		}
		return nil
	})
}

// A trial ends in time on a node whose disk is full by then, be there a daemon or only the process
// that waits; what cannot be written is reported until it can.
func TestTrialEndsOnAFullDisk(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	dir := n.Path("/var/lib/podnet")
	if err := errors.Join(os.MkdirAll(dir, 0o755), unix.Mount("disk", dir, "tmpfs", 0, "size=128k")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	filler := filepath.Join(dir, "filler")
	n.Start("--resync", "1s")
	n.AwaitInForce()
	before, file := n.State(), topology.String()
	next(n, topology)
	for _, daemon := range []bool{true, false} {
		t.Run(fmt.Sprintf("daemon %v", daemon), func(t *testing.T) {
			if !daemon {
				n.Kill9()
			}
			exits(t, n.Podnetctl("apply", "--allow-disruption", "--confirm", seen, n.Path(nextPath)), 0, "apply --confirm")
			n.Sh("ip link show cni7")
			if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, unix.ENOSPC) {
				t.Fatal(err)
			}
			gone(t, n, "cni7", "podnet.7")
			lab.Eventually(t, lab.Patience, "the network from before", func() error { return lab.SameState(before, n.State()) })
			lab.Eventually(t, lab.Patience, "what status says", func() error { // a daemon's next pass says what it could not write
				out := n.Podnetctl("status")
				if out.Code != 1 || !strings.Contains(out.Stdout, "over and not undone yet") || daemon && !strings.Contains(out.Stdout, "no space left on device") {
					return fmt.Errorf("exit code %d:\n%s", out.Code, out.Stdout)
				}
				return nil
			})
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			cameBack(t, n, before, file)
		})
	}
}

// Where nothing was before, nothing stays.
func TestTrialOfTheFirstTopology(t *testing.T) {
	l := lab.New(t)
	n := l.Node("node-a")
	l.Node("node-b")
	before := n.Network()
	n.WriteFile(nextPath, l.Topology().String())
	for name, c := range map[string]struct {
		after string
		end   func()
	}{
		"in time":     {seen, func() {}},
		"rolled back": {"1h", func() { exits(t, n.Podnetctl("rollback"), 0, "rollback") }},
	} {
		t.Run(name, func(t *testing.T) {
			exits(t, n.Podnetctl("apply", "--confirm", c.after, n.Path(nextPath)), 0, "apply --confirm")
			n.Sh("ip link show cni0")
			c.end()
			gone(t, n, lab.Bridge, lab.VXLAN)
			lab.Eventually(t, lab.Patience, "nothing", func() error {
				if _, err := os.Stat(n.Path(lab.TopologyPath)); err == nil {
					return fmt.Errorf("the file is still in place")
				}
				return lab.SameState(before, n.Network())
			})
		})
	}
}

// waiting are the processes that wait for the end of a trial of the node's.
func waiting(t *testing.T, n *lab.Node) []int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, path := range all {
		data, err := os.ReadFile(path)
		if line := string(data); err == nil && strings.Contains(line, "await-end-of-trial") && strings.Contains(line, n.Root+"\x00") {
			var pid int
			if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

func kill(t *testing.T, pids []int) {
	t.Helper()
	if len(pids) == 0 {
		t.Fatal("no process waits for the end of the trial")
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
}

// anotherBoot makes the trial one of an earlier boot and takes away what a reboot does.
func anotherBoot(t *testing.T, n *lab.Node) {
	t.Helper()
	const record = "/var/lib/podnet/pending/trial.json"
	text, err := n.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(text), &fields); err != nil {
		t.Fatal(err)
	}
	fields["bootID"] = "00000000-0000-0000-0000-000000000000"
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	n.WriteFile(record, string(data))
	n.Sh("ip link del cni7")
	n.Sh("ip link del podnet.7")
}
