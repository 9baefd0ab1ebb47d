package runtime

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// debianConfig is what Debian's package of containerd brings.
const debianConfig = `version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
      conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.internal.v1.opt"]
    path = "/var/lib/containerd/opt"
`

// testSettings are what Debian's configuration lacks for a containerd of a test: directories of its
// own, an image without a registry, and what a machine without CAP_SYS_RESOURCE needs.
func testSettings(dir string) *strings.Replacer {
	const section = `[plugins."io.containerd.grpc.v1.cri"]` + "\n"
	return strings.NewReplacer(
		"version = 2\n", fmt.Sprintf("version = 2\nroot = %q\nstate = %q\n[grpc]\n  address = %q\n[ttrpc]\n  address = %q\n",
			dir+"/root", dir+"/state", dir+"/sock", dir+"/sock.ttrpc"),
		section, section+fmt.Sprintf("sandbox_image = %q\ndisable_apparmor = true\nrestrict_oom_score_adj = true\nnetns_mounts_under_state_dir = true\n"+
			"stream_server_address = \"127.0.0.1\"\nstream_server_port = \"0\"\n", pauseImage)+
			"[plugins.\"io.containerd.grpc.v1.cri\".containerd]\nsnapshotter = \"native\"\n",
		"/var/lib/containerd/opt", dir+"/opt")
}

// startDebian starts a containerd with Debian's configuration, which sees the node's /usr/lib/cni
// and /etc/cni/net.d in their places.
func startDebian(t *testing.T, n *lab.Node) *containerd {
	t.Helper()
	script := "set -e\n"
	for _, dir := range []string{"/usr/lib/cni", "/etc/cni/net.d"} {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			t.Skipf("this machine has no %s to mount the node's over: apt-get install containernetworking-plugins", dir)
		}
		must(t, os.MkdirAll(n.Path(dir), 0o755))
		script += fmt.Sprintf("mount --bind %s %s\n", n.Path(dir), dir)
	}
	c := &containerd{t: t, node: n, dir: n.Path("/containerd")}
	must(t, os.MkdirAll(c.dir, 0o755))
	file := n.Path("/etc/containerd/config.toml")
	n.WriteFile("/etc/containerd/config.toml", testSettings(c.dir).Replace(debianConfig))
	c.command = []string{"unshare", "-m", "--propagation", "private", "sh", "-c", script + "exec containerd -c " + file}
	c.start()
	return c
}

// Pods start under a containerd as Debian configures it, which looks for plugins in /usr/lib/cni,
// once podnetctl install has been there, and doctor says so before.
func TestDebiansContainerd(t *testing.T) {
	requirePrograms(t, "containerd", "runc", "ctr", "busybox", "unshare")
	packaged, err := os.ReadFile("/etc/containerd/config.toml")
	if err == nil && string(packaged) != debianConfig {
		t.Logf("this machine's /etc/containerd/config.toml is not Debian's; the test takes Debian's")
	}
	l := lab.New(t)
	l.OwnConflists = true
	n := l.Node("node-a")
	n.Write(l.Topology().String())
	n.Start()
	c := startDebian(t, n)
	c.await("the runtime notices the conflist", c.networkReady)

	if _, err := c.tryRun("early"); err == nil || !strings.Contains(err.Error(), "in path [/usr/lib/cni]") {
		t.Fatalf("a pod without plugins: %v", err)
	}
	before := n.Podnetctl("doctor")
	if before.Code != 1 || !strings.Contains(before.Stdout, "plugin-missing") || !strings.Contains(before.Stdout, "install --cni-bin-dir "+n.Path("/usr/lib/cni")) {
		t.Errorf("doctor before: exit code %d\n%s%s", before.Code, before.Stdout, before.Stderr)
	}
	if out := n.Podnetctl("install"); out.Code != 0 {
		t.Fatalf("install: exit code %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	if after := n.Podnetctl("doctor"); strings.Contains(after.Stdout, "plugin-missing") {
		t.Errorf("doctor after: exit code %d\n%s", after.Code, after.Stdout)
	}
	one, two := c.run("one"), c.run("two")
	if len(one.ips) == 0 || len(two.ips) == 0 || one.ips[0] == two.ips[0] {
		t.Errorf("addresses %v and %v", one.ips, two.ips)
	}
	must(t, c.removeAll(t.Context()))
	c.wantNothingLeft()
	if _, err := exec.LookPath(filepath.Join(n.Path("/usr/lib/cni"), "bridge")); err != nil {
		t.Error(err)
	}
}
