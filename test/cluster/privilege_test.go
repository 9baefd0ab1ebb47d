package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// least runs a command as the unit does: uid 0 with two capabilities, and no way to more; under a
// umask that hides nothing, and with every call noted that could enter another namespace.
func least(t *testing.T, trace string, args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is missing: apt-get install strace")
	}
	const script = `umask 0; exec strace -f -qq -e trace=setns,unshare,clone,clone3 -o "$0" setpriv --bounding-set=-all,+net_admin,+net_raw ` +
		`--inh-caps=-all,+net_admin,+net_raw --no-new-privs "$@"`
	return exec.Command("sh", append([]string{"-c", script, trace}, args...)...)
}

var enters = regexp.MustCompile(`(setns|unshare)\(|CLONE_NEW`)

// The daemon needs uid 0 and two capabilities only, never enters another namespace, with pods to
// look after either, and what it writes nobody else can change, whatever its umask.
func TestLeastPrivilege(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	trace := filepath.Join(t.TempDir(), "calls")
	cmd := least(t, trace, lab.Program("podnetd"), "--root", n.Root, "--node", n.Host, "--resync", "1s", "--metrics-addr", "")
	log, err := os.Create(n.Path("/least.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := n.Do(cmd.Start); err != nil {
		t.Fatal(err)
	}
	n.AwaitInForce()
	status, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = unix.Kill(status.Daemon.PID, unix.SIGKILL) // strace would let it live on
		_ = cmd.Wait()
	}()
	if err := n.CheckPeers(topology); err != nil {
		t.Error(err)
	}
	pod := n.Pod("web")
	for _, h := range n.Harms(topology, "node-b") {
		h.Do()
		lab.Eventually(t, lab.Patience, h.What, h.Undone)
	}
	if err := pod.Ping(n.IP4); err != nil {
		t.Errorf("a pod whose bridge was made anew: %v", err)
	}
	privileges, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", status.Daemon.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CapEff:\t0000000000003000", "CapBnd:\t0000000000003000", "NoNewPrivs:\t1"} {
		if !strings.Contains(string(privileges), want) {
			t.Errorf("no %q in\n%s", want, privileges)
		}
	}
	calls, err := os.ReadFile(trace)
	if err != nil || !strings.Contains(string(calls), "clone") {
		t.Fatalf("nothing was traced: %v", err)
	}
	if call := enters.FindString(string(calls)); call != "" {
		t.Errorf("podnetd called %s", call)
	}
	for _, path := range []string{lab.StatusPath, lab.LastGoodPath, lab.ConflistPath, "/run/podnet/lock", "/run/podnet", "/var/lib/podnet", "/etc/cni/net.d"} {
		info, err := os.Stat(n.Path(path))
		if err != nil || info.Mode().Perm()&0o022 != 0 {
			t.Errorf("%s can be changed by others: %v, %v", path, info, err)
		}
	}
}

// A topology that others can change is followed, and the log says who can, and the remedy.
func TestUntrustedTopology(t *testing.T) {
	l, _ := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	if err := os.Chmod(n.Path(lab.TopologyPath), 0o666); err != nil {
		t.Fatal(err)
	}
	d := n.Start()
	n.AwaitInForce()
	lab.Eventually(t, lab.Patience, "a warning", func() error {
		if log := d.Log(); !strings.Contains(log, "chmod go-w "+n.Path(lab.TopologyPath)) {
			return fmt.Errorf("not in the log:\n%s", log)
		}
		return nil
	})
}
