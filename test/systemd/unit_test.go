// Package systemd tests podnetd as its unit starts it: under a real systemd, with the restrictions
// of the unit.
package systemd

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"))
}

// lengthy leaves a test to make e2e.
func lengthy(t *testing.T) {
	t.Helper()
	if os.Getenv("PODNET_E2E") == "" {
		t.Skip("PODNET_E2E is not set, as make e2e does: this takes long")
	}
}

// How much of the host the unit is exposed to, in systemd's own points: 10 is everything.
func TestExposure(t *testing.T) {
	const most = 1.9
	requires(t, "systemd-analyze", "systemd")
	unit := filepath.Join(lab.SourceTree(), "systemd/podnetd.service")
	out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", unit).CombinedOutput()
	must(t, err)
	m := regexp.MustCompile(`Overall exposure level for podnetd.service: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no figure in:\n%s", out)
	}
	exposure, err := strconv.ParseFloat(string(m[1]), 64)
	must(t, err)
	t.Logf("exposure %.1f, at most %.1f", exposure, most)
	if exposure > most {
		t.Errorf("exposure %.1f, want at most %.1f:\n%s", exposure, most, out)
	}
}

// two is a node under systemd, not started, and one that is a plain peer of it, with the topology
// of both.
func two(t *testing.T) (*booted, *lab.Node, lab.Topology) {
	t.Helper()
	l := lab.New(t)
	a := boot(t, l, "node-a")
	b := l.Node("node-b")
	topology := l.Topology()
	b.Write(topology.String())
	b.Start()
	b.AwaitInForce()
	return a, b, topology
}

// A whole life under the unit's restrictions: a start with nothing there, a topology, pods, damage.
func TestNodeUnderItsUnit(t *testing.T) {
	a, b, topology := two(t)
	if out := a.must("systemd-analyze", "verify", "podnetd.service"); strings.Contains(out, "podnetd") {
		t.Errorf("systemd-analyze verify: %s", out)
	}
	a.must("rm", "-rf", "/etc/podnet", "/etc/cni", "/var/lib/cni", "/opt/cni")

	a.must("systemctl", "enable", "--now", "podnetd") // returns once podnetd is ready
	if text := a.show("StatusText"); !strings.Contains(text, "waiting for a topology") {
		t.Errorf("the status text without a topology is %q", text)
	}
	a.restricted()

	a.Write(topology.String())
	a.AwaitInForce()
	must(t, a.CheckPeers(topology))
	lab.Eventually(t, lab.Patience, "status text", func() error {
		if text := a.show("StatusText"); text != "in sync, 1 peers" {
			return fmt.Errorf("%q", text)
		}
		return nil
	})
	if out := a.must("iptables-save"); !strings.Contains(out, "PODNET-MASQUERADE") || !strings.Contains(out, "PODNET-FORWARD") {
		t.Errorf("iptables-save:\n%s", out)
	}
	if out := a.must("stat", "-c", "%a", lab.ConflistPath, "/etc/cni/net.d", "/var/lib/podnet", "/run/podnet"); out != "644\n755\n755\n755\n" {
		t.Errorf("modes of the conflist and the directories: %q", out)
	}
	if out := a.must("ip", "route", "show", "proto", "podnet"); !strings.Contains(out, lab.PodCIDR4(1)) {
		t.Errorf("ip route show proto podnet:\n%s", out)
	}

	web, peer := a.pod("web"), b.Pod("peer")
	must(t, web.ping(peer.Addr4(), 3))
	must(t, peer.Ping(web.addr.String()))

	for what, damage := range map[string]string{
		"a route gone":      "ip route del " + lab.PodCIDR4(1),
		"the tunnel gone":   "ip link del podnet.1",
		"the bridge gone":   "ip link del cni0",
		"the chains gone":   "iptables -t nat -F PODNET-MASQUERADE",
		"forwarding off":    "echo 0 >/proc/sys/net/ipv4/ip_forward",
		"the conflist gone": "rm " + lab.ConflistPath,
		// A rename takes the directory away at once: podnetd puts the conflist back into one that
		// rm is still emptying.
		"its directory made anew":    "mv /etc/cni/net.d /etc/cni/gone && mkdir -p /etc/cni/net.d && rm -rf /etc/cni/gone",
		"its parent made anew":       "mv /etc/cni /etc/gone && mkdir -p /etc/cni/net.d && rm -rf /etc/gone",
		"its parent gone":            "mv /etc/cni /etc/gone && rm -rf /etc/gone",
		"the topology's dir renamed": "mv /etc/podnet /etc/podnet.old && mv /etc/podnet.old /etc/podnet",
	} {
		a.must("sh", "-c", damage)
		a.must("systemctl", "reload", "podnetd") // what announces itself late is not the point here
		lab.Eventually(t, 2*lab.Patience, "healed: "+what, func() error {
			_, err := a.do("podnetctl", "status")
			return err
		})
		if _, err := a.ReadFile(lab.ConflistPath); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	must(t, web.ping(peer.Addr4(), 3))
}

// restricted checks what the kernel says of the process.
func (b *booted) restricted() {
	b.t.Helper()
	status := b.must("cat", "/proc/"+b.show("MainPID")+"/status")
	for _, line := range []string{"CapEff:\t0000000000003000", "CapBnd:\t0000000000003000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, line+"\n") {
			b.t.Errorf("podnetd runs without %q:\n%s", line, status)
		}
	}
}

// Killed, it comes back at once; the network stays as it was, and a stop leaves it too.
func TestRestartsAndStops(t *testing.T) {
	lengthy(t)
	a, b, topology := two(t)
	a.Write(topology.String())
	a.must("systemctl", "start", "podnetd")
	a.AwaitInForce()
	web, peer := a.pod("web"), b.Pod("peer")
	pinged := make(chan error, 1)
	go func() { pinged <- web.ping(peer.Addr4(), 80) }()

	before := a.show("MainPID")
	a.must("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "podnetd")
	lab.Eventually(t, lab.Patience, "restarted", func() error {
		if state, pid := a.show("ActiveState"), a.show("MainPID"); state != "active" || pid == before {
			return fmt.Errorf("%s, process %s", state, pid)
		}
		return nil
	})
	a.must("systemctl", "stop", "podnetd")
	if result := a.show("Result"); result != "success" {
		t.Errorf("the stop's result is %s", result)
	}
	must(t, <-pinged)
	must(t, a.CheckPeers(topology))
}

// A loop that stands still is noticed and ended.
func TestWatchdog(t *testing.T) {
	lengthy(t)
	a := boot(t, lab.New(t), "node-a")
	a.dropIn("[Service]\nWatchdogSec=8s\nTimeoutAbortSec=1s\n")
	a.must("systemctl", "start", "podnetd")
	a.must("systemctl", "kill", "--kill-whom=main", "-s", "STOP", "podnetd")
	lab.Eventually(t, 6*lab.Patience, "restarted by the watchdog", func() error {
		if n, state := a.show("NRestarts"), a.show("ActiveState"); n == "0" || state != "active" {
			return fmt.Errorf("%s restarts, %s", n, state)
		}
		return nil
	})
	a.journal("Watchdog timeout")
}

// Without its capabilities it says so, once, and does not try again.
func TestWithoutCapabilities(t *testing.T) {
	a := boot(t, lab.New(t), "node-a")
	a.dropIn("[Service]\nCapabilityBoundingSet=\n")
	if out, err := a.do("systemctl", "start", "podnetd"); err == nil {
		t.Errorf("it starts without capabilities: %s", out)
	}
	if code, restarts, state := a.show("ExecMainStatus"), a.show("NRestarts"), a.show("ActiveState"); code != "2" || restarts != "0" || state != "failed" {
		t.Errorf("exit code %s, %s restarts, %s; want 2, 0, failed", code, restarts, state)
	}
	a.journal("CAP_NET_ADMIN")
}

// Another program on the port of the metrics costs the metrics, and the journal says what to do.
func TestMetricsPortTaken(t *testing.T) {
	a, _, topology := two(t)
	var taken net.Listener
	must(t, a.Do(func() (err error) {
		taken, err = net.Listen("tcp", "127.0.0.1:9472")
		return err
	}))
	defer taken.Close()
	a.Write(topology.String())
	a.must("systemctl", "start", "podnetd")
	a.AwaitInForce()
	must(t, a.CheckPeers(topology))
	a.journal("--metrics-addr", "9472")
}
