package main

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/agent"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/lab"
)

// host is a node of a lab on which the program runs in this process.
type host struct {
	*lab.Node
	t *testing.T
}

func newHost(t *testing.T) host {
	l := lab.New(t)
	return host{l.Node("node-a"), t}
}

// run runs podnetctl in the host's namespace and checks the exit code.
func (h host) run(code int, args ...string) output {
	h.t.Helper()
	return h.runWith("", code, args...)
}

func (h host) runWith(stdin string, code int, args ...string) output {
	h.t.Helper()
	var out output
	err := h.Do(func() error {
		out = podnetctl(stdin, append([]string{"--root", h.Root, "--node", h.Host}, args...)...)
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	if out.code != code {
		h.t.Errorf("%v: exit code %d, want %d\n%s%s", args, out.code, code, out.stdout, out.stderr)
	}
	return out
}

// daemon makes this process the host's podnetd, whose last pass was so long ago.
func (h host) daemon(ago time.Duration) (release func()) {
	h.t.Helper()
	err := h.Do(func() error {
		p, err := agent.HoldDaemon(state.DefaultPaths(h.Root))
		if err == nil {
			release = func() { _ = p.Release() }
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	s := &document.NodeStatus{
		Version: "1.0.2", BootID: kernel.BootID(), WrittenAt: time.Now(), LastPass: document.PassStatus{At: time.Now().Add(-ago)},
		Daemon: &document.DaemonStatus{PID: 812, StartedAt: time.Now(), ResyncSeconds: 30},
	}
	if err := agent.WriteStatus(h.Path(lab.StatusPath), s); err != nil {
		h.t.Fatal(err)
	}
	return release
}

func TestDiffAndApply(t *testing.T) {
	h := newHost(t)
	file := write(t, h.Path("/next.yaml"), valid)

	t.Run("what is not valid changes nothing", func(t *testing.T) {
		before := h.State()
		bad := write(t, h.Path("/bad.yaml"), invalid)
		for _, verb := range []string{"diff", "apply"} {
			if k := kind(t, h.run(1, verb, "-o", "json", bad).stdout); k != "Validation" {
				t.Errorf("%s of an invalid file gives kind %s", verb, k)
			}
			h.runWith(strings.Replace(valid, "node-a", "node-z", 1), 1, verb, "-")
			h.run(2, verb, h.Path("/none.yaml"))
			h.run(2, verb)
		}
		if err := lab.SameState(before, h.State()); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(h.Path(lab.TopologyPath)); err == nil {
			t.Error("a refused topology was put in place")
		}
	})

	h.run(1, "diff", file)
	if got := h.run(0, "apply", file); !strings.Contains(got.stdout, "in sync after") || !strings.Contains(got.stdout, "+ peer node-b") {
		t.Errorf("apply says\n%s", got.stdout)
	}
	if got := h.run(0, "diff"); !strings.Contains(got.stdout, "IN SYNC") || !strings.Contains(got.stdout, "same on disk") {
		t.Errorf("diff of a node in sync says\n%s", got.stdout)
	}

	t.Run("an ip that the host has not yet", func(t *testing.T) {
		elsewhere := strings.Replace(valid, "192.0.2.11", "192.0.2.111", 1)
		if got := h.runWith(elsewhere, 0, "apply", "-"); !strings.Contains(got.stderr, "192.0.2.111") {
			t.Errorf("apply does not warn:\n%s", got.stderr)
		}
		h.run(0, "apply", file)
	})

	t.Run("the file in place keeps its mode", func(t *testing.T) {
		if err := os.Chmod(h.Path(lab.TopologyPath), 0o600); err != nil {
			t.Fatal(err)
		}
		h.runWith(strings.Replace(valid, "192.0.2.12", "192.0.2.99", 1), 0, "apply", "-")
		if info, err := os.Stat(h.Path(lab.TopologyPath)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		h.run(0, "apply", file)
	})

	t.Run("drift", func(t *testing.T) {
		h.Sh("ip route del 10.244.1.0/24")
		if got := h.run(1, "diff"); !strings.Contains(got.stdout, "Drift, 1 object") || !strings.Contains(got.stdout, "NOT RUNNING") {
			t.Errorf("diff says\n%s", got.stdout)
		}
		var p document.Plan
		if err := json.Unmarshal([]byte(h.run(0, "apply", "-o", "json").stdout), &p); err != nil {
			t.Fatal(err)
		}
		if !p.InSync || len(p.Steps) != 1 || p.Steps[0].Cause != "drift" || p.Steps[0].Result != reconcile.Done {
			t.Errorf("plan %+v", p)
		}
		h.run(0, "diff")
	})
}

// A node in the way of which stands somebody else's device is not in sync, and apply says what to
// do.
func TestApplyBlocked(t *testing.T) {
	h := newHost(t)
	h.Sh("ip link add cni0 type bridge")
	got := h.runWith(valid, 1, "apply", "-")
	if !strings.Contains(got.stdout, "ip link set cni0 group 7200") || !strings.Contains(got.stdout, "NOT IN SYNC") {
		t.Errorf("apply says\n%s", got.stdout)
	}
	h.Sh("ip link set cni0 group 7200")
	h.run(0, "apply")
}

// What was done is said although the status cannot be written.
func TestApplyWithoutStatus(t *testing.T) {
	h := newHost(t)
	if err := os.MkdirAll(h.Path(lab.StatusPath), 0o755); err != nil { // a directory in its place
		t.Fatal(err)
	}
	got := h.runWith(valid, 2, "apply", "-")
	if !strings.Contains(got.stdout, "in sync after") || !strings.Contains(got.stderr, lab.StatusPath) {
		t.Errorf("apply says\n%s%s", got.stdout, got.stderr)
	}
}

func TestStatus(t *testing.T) {
	h := newHost(t)
	h.run(1, "status")
	h.runWith(valid, 0, "apply", "-")
	if got := h.run(1, "status"); !strings.Contains(got.stdout, "podnetd does not run") {
		t.Errorf("without a daemon:\n%s", got.stdout)
	}
	h.run(1, "status", "--wait", "400ms")

	release := h.daemon(time.Hour)
	if got := h.run(1, "status"); !strings.Contains(got.stdout, "last pass") {
		t.Errorf("with a daemon that is stuck:\n%s", got.stdout)
	}
	release()
	for verb, code := range map[string]int{"status": 1, "diff": 0} {
		if got := h.run(code, verb); !regexp.MustCompile(`(?m)^Daemon    NOT RUNNING since [-0-9: ]+Z: `).MatchString(got.stdout) {
			t.Errorf("%s after it was stopped:\n%s", verb, got.stdout)
		}
	}
	defer h.daemon(time.Second)()
	digest := lab.Digest(valid)
	for _, args := range [][]string{{"status"}, {"status", "--digest", digest}, {"status", "--digest", strings.TrimPrefix(digest, "sha256:")}} {
		if got := h.run(0, args...); !strings.Contains(got.stdout, "IN SYNC   1 peer") {
			t.Errorf("in sync:\n%s", got.stdout)
		}
	}
	h.run(1, "status", "--digest", lab.Digest("another"))
	h.run(2, "status", "--digest", digest[:20])
	h.run(2, "status", "--watch", "--wait", "1s")
	if k := kind(t, h.run(0, "status", "-o", "json").stdout); k != "NodeStatus" {
		t.Errorf("kind %s", k)
	}

	h.Sh("ip route del 10.244.1.0/24")
	if got := h.run(1, "status"); !strings.Contains(got.stdout, "NOT IN SYNC") {
		t.Errorf("with a route gone:\n%s", got.stdout)
	}
	h.run(0, "apply")
	h.Write(valid + "# not applied yet\n")
	if got := h.run(1, "status"); !strings.Contains(got.stdout, "not in force yet") {
		t.Errorf("with a new file:\n%s", got.stdout)
	}
	written, err := h.ReadFile(lab.StatusPath)
	if err != nil {
		t.Fatal(err)
	}
	write(t, h.Path(lab.StatusPath), "torn")
	if got := h.run(1, "status"); !strings.Contains(strings.Join(strings.Fields(got.stdout), " "), lab.StatusPath+" is no status") || !strings.Contains(got.stdout, "not in force yet") {
		t.Errorf("with a status that nobody can read:\n%s", got.stdout)
	}
	write(t, h.Path(lab.StatusPath), written)
	h.Write(invalid)
	if got := h.run(1, "status"); !strings.Contains(got.stdout, "StaleTopology  Invalid") || !strings.Contains(got.stdout, "192.0.2.300") {
		t.Errorf("with a bad file:\n%s", got.stdout)
	}
}

// A host may get its address while status waits, and be known by that alone.
func TestLookFindsItself(t *testing.T) {
	h := newHost(t)
	h.Write(strings.Replace(valid, "192.0.2.11", "192.0.2.111", 1))
	err := h.Do(func() error {
		n, err := enter(agent.Settings{Paths: state.DefaultPaths(h.Root)})
		if err != nil {
			return err
		}
		defer n.Close()
		for _, c := range []struct{ change, reason string }{{"true", rollout.ReasonNoEntry}, {"ip addr add 192.0.2.111/32 dev eth0", ""}} {
			h.Sh(c.change)
			s, err := n.look("")
			if err != nil {
				return err
			}
			if got := s.Topology.OnDisk.Reason; got != c.reason {
				t.Errorf("after %s: %q, want %q", c.change, got, c.reason)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Peers that share no family with this node, and none at all.
func TestExplainWithoutWays(t *testing.T) {
	h := newHost(t)
	apart := strings.NewReplacer(`"10.244.0.0/24", "fd00:10:244::/64"`, `"10.244.0.0/24"`, `"10.244.1.0/24", "fd00:10:244:1::/64"`, `"fd00:10:244:1::/64"`).Replace(valid)
	h.runWith(apart, 0, "apply", "-")
	if got := h.run(2, "explain", "node-b"); !strings.Contains(got.stderr, "node-b has no podCIDR of a family that node-a has") {
		t.Errorf("a peer of another family:\n%s", got.stderr)
	}
	h.run(0, "explain", "--all")
	h.run(0, "explain", "node-a")
	alone := valid[:strings.Index(valid, "- name: node-b")]
	h.runWith(alone, 0, "apply", "--allow-disruption", "-")
	h.run(0, "explain", "--all")
	h.run(0, "explain", "--all", "--probe")
}

// mentions: a screen has the words, whatever its line breaks.
func mentions(screen, words string) bool {
	return strings.Contains(strings.Join(strings.Fields(screen), " "), words)
}

func TestTeardown(t *testing.T) {
	h := newHost(t)
	bare := h.Network()
	h.runWith(valid, 0, "apply", "-")
	applied := h.State()
	directories := h.Path("/var/lib/podnet") + ", " + h.Path("/run/podnet")
	if got := h.run(0, "teardown", "--dry-run"); !strings.Contains(got.stdout, "Nothing changed.") || !mentions(got.stdout, "to remove: "+directories) {
		t.Errorf("a dry run says\n%s", got.stdout)
	}
	release := h.daemon(0)
	h.run(1, "teardown", "--force")
	for _, args := range [][]string{{"--dry-run"}, {"--dry-run", "--force"}, {"--dry-run", "-o", "json"}} {
		got := h.run(0, append([]string{"teardown"}, args...)...)
		if !strings.Contains(got.stderr, "teardown refuses, with --force too: systemctl disable --now podnetd") || !strings.Contains(got.stdout, "podnet.1") {
			t.Errorf("%v beside a daemon says\n%s%s", args, got.stdout, got.stderr)
		}
	}
	release()
	h.Sh("ip link add vethdead0001 group 7201 type veth peer name vethdead0002")
	h.run(0, "teardown", "--dry-run", "--force")
	if got := h.run(0, "teardown", "--dry-run"); !strings.Contains(got.stderr, "drain the node first, or podnetctl teardown --force") {
		t.Errorf("a dry run with a pod present says\n%s", got.stderr)
	}
	if got := h.run(1, "teardown"); !strings.Contains(got.stderr, "1 local pod") {
		t.Errorf("with a pod present:\n%s", got.stderr)
	}
	h.Sh("ip link del vethdead0001")
	if err := lab.SameState(applied, h.State()); err != nil {
		t.Errorf("a refused teardown changed something:\n%v", err)
	}

	h.Sh("ip link add vethdead0001 group 7201 type veth peer name vethdead0002")
	if got := h.run(0, "teardown", "--force"); !strings.Contains(got.stdout, "net/ipv4/ip_forward") || !mentions(got.stdout, "removed: "+directories) {
		t.Errorf("teardown does not say what stays, or what files go:\n%s", got.stdout)
	}
	if err := lab.SameState(bare, h.Network()); err != nil {
		t.Errorf("something is left:\n%v", err)
	}
	for path, kept := range map[string]bool{lab.TopologyPath: true, "/var/lib/podnet": false, "/run/podnet": false, lab.ConflistPath: false} {
		if _, err := os.Stat(h.Path(path)); (err == nil) != kept {
			t.Errorf("%s: kept %v, want %v", path, err == nil, kept)
		}
	}
	for _, args := range [][]string{{"teardown", "--dry-run"}, {"teardown"}} { // what has gone is not removed again
		if got := h.run(0, args...); !mentions(got.stdout, "Files none to remove") {
			t.Errorf("%v once more says\n%s", args, got.stdout)
		}
	}
	if k := kind(t, h.run(0, "teardown", "-o", "json").stdout); k != "Plan" {
		t.Errorf("kind %s", k)
	}
}
