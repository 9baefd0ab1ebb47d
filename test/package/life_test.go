package pkg

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// machine is a copy of this one, without systemd running.
type machine struct {
	t    *testing.T
	root string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t, lab.Tree(t, "node-a")}
	for _, mount := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"proc", "proc", "proc", 0}, {"/dev", "dev", "", unix.MS_BIND | unix.MS_REC}, {"run", "run", "tmpfs", 0},
	} {
		if err := unix.Mount(mount.source, m.at(mount.target), mount.kind, mount.flags, ""); err != nil {
			t.Fatalf("mount %s: %v", mount.target, err)
		}
	}
	return m
}

func (m *machine) at(path string) string { return filepath.Join(m.root, path) }

// run runs a command on it; the test ends if it fails.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	return output(m.t, append([]string{"chroot", m.root, "env", "-u", "TMPDIR", "HOME=/root"}, args...)...)
}

// take copies a package to it and returns its path there.
func (m *machine) take(path string) string {
	m.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	name := "/root/" + filepath.Base(path)
	m.write(name, string(data))
	return name
}

func (m *machine) write(path, content string) {
	m.t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(m.at(path)), 0o755), os.WriteFile(m.at(path), []byte(content), 0o644)); err != nil {
		m.t.Fatal(err)
	}
}

// has fails the test if the paths are not there, or are there.
func (m *machine) has(is bool, paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(m.at(path)); errors.Is(err, fs.ErrNotExist) == is {
			m.t.Errorf("%s is there: %v, want %v", path, !is, is)
		}
	}
}

func (m *machine) holds(path, content string) {
	m.t.Helper()
	if data, err := os.ReadFile(m.at(path)); err != nil || string(data) != content {
		m.t.Errorf("%s has %q, want %q (%v)", path, data, content, err)
	}
}

// What an operator, podnetd and the pods put there between installation and removal.
const (
	topologyFile = "/etc/podnet/topology.yaml"
	lastGood     = "/var/lib/podnet/last-good.yaml"
	lease        = "/var/lib/cni/networks/podnet/10.244.0.2"
	defaults     = "/etc/default/podnetd"
	edited       = "PODNET_NODE=node-a\n"
)

func (m *machine) use() {
	m.t.Helper()
	for _, path := range []string{topologyFile, lastGood, lease} {
		m.write(path, path)
	}
	m.write(defaults, edited)
}

// installed checks what there is after an installation.
func (m *machine) installed() {
	m.t.Helper()
	if out := m.run("podnetctl", "version"); !strings.HasPrefix(out, "podnetctl ") {
		m.t.Errorf("podnetctl version: %s", out)
	}
	if out := m.run("podnetctl", "validate", "/usr/share/doc/podnet/examples/full.yaml"); !strings.Contains(out, "0 errors") {
		m.t.Errorf("the packaged example: %s", out)
	}
	m.run("podnetctl", "install")
	for _, plugin := range []string{"bridge", "host-local", "loopback", "portmap"} {
		m.has(true, "/opt/cni/bin/"+plugin)
	}
	m.has(false, "/etc/systemd/system/multi-user.target.wants/podnetd.service", topologyFile)
	if out := m.run("ip", "route", "add", "203.0.113.0/24", "dev", "lo", "proto", "podnet"); out != "" {
		m.t.Errorf("ip does not know the protocol podnet: %s", out)
	}
	m.run("ip", "route", "del", "203.0.113.0/24", "dev", "lo", "proto", "72")
}

func TestDebLife(t *testing.T) {
	m := newMachine(t)
	output(t, "ip", "link", "set", "lo", "up")
	first := m.take(made(t, lab.SourceTree(), "deb"))
	m.run("dpkg", "-i", first)
	m.installed()
	m.use()
	m.run("systemctl", "enable", "podnetd.service")

	m.run("sh", "-c", `cd /root && dpkg-deb -R `+first+` next && sed -i 's/^Version: .*/Version: 9999/' next/DEBIAN/control &&
		echo '# a new default' >>next/etc/default/podnetd && dpkg-deb -Znone -b next next.deb && dpkg --force-confdef --force-confold -i next.deb`)
	if out := m.run("dpkg-query", "-W", "-f", "${Version} ${Status}", "podnet"); out != "9999 install ok installed" {
		t.Errorf("after the upgrade: %s", out)
	}
	m.holds(defaults, edited)
	m.has(true, "/etc/systemd/system/multi-user.target.wants/podnetd.service", topologyFile, lastGood, lease)

	out := m.run("dpkg", "-r", "podnet")
	if !strings.Contains(out, "pods keep their network") {
		t.Errorf("the removal does not say what stays:\n%s", out)
	}
	m.has(false, "/usr/bin/podnetd", "/usr/lib/podnet", "/etc/systemd/system/multi-user.target.wants/podnetd.service")
	m.has(true, topologyFile, lastGood, lease, defaults, "/opt/cni/bin/bridge")

	m.run("dpkg", "-P", "podnet")
	m.has(false, defaults, "/etc/iproute2/rt_protos.d/podnet.conf", "/var/lib/podnet")
	m.has(true, topologyFile, lease, "/opt/cni/bin/bridge")
}

func TestRPMLife(t *testing.T) {
	requires(t, "rpm", "rpm")
	m := newMachine(t)
	output(t, "ip", "link", "set", "lo", "up")
	first := m.take(made(t, lab.SourceTree(), "rpm"))
	rpm := func(args ...string) string { return m.run(append([]string{"rpm", "--nodeps"}, args...)...) }
	rpm("-i", first)
	m.run("rpm", "-V", "--nodeps", "podnet")
	m.installed()
	m.use()
	m.run("systemctl", "enable", "podnetd.service")

	next, err := lab.Repackage("rpm", "9999", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	rpm("-U", m.take(next))
	if out := m.run("rpm", "-q", "--qf", "%{VERSION}", "podnet"); out != "9999" {
		t.Errorf("after the upgrade: %s", out)
	}
	m.holds(defaults, edited)
	m.has(true, "/etc/systemd/system/multi-user.target.wants/podnetd.service", "/usr/bin/podnetd", topologyFile, lastGood, lease)

	if out := rpm("-e", "podnet"); !strings.Contains(out, "pods keep their network") {
		t.Errorf("the removal does not say what stays:\n%s", out)
	}
	m.has(false, "/usr/bin/podnetd", "/usr/lib/podnet", "/etc/systemd/system/multi-user.target.wants/podnetd.service", defaults)
	m.has(true, topologyFile, lastGood, lease, defaults+".rpmsave")
}

// The scripts are plain sh.
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(lab.SourceTree(), "systemd/package/*.sh"))
	if err != nil || len(scripts) < 3 {
		t.Fatalf("scripts: %v, %v", scripts, err)
	}
	for _, script := range scripts {
		shell := "sh"
		if filepath.Base(script) == "build.sh" {
			shell = "bash"
		}
		if out, err := exec.Command(shell, "-n", script).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}
