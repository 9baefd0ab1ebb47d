package docs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// server is a node of the lab as a reader of the pages has it: a booted systemd on a copy of this machine's file system, its
// host name, and nothing of podnet yet but the package in the working directory.
type server struct {
	*lab.Node
	t    *testing.T
	init int // process 1 of the server
}

// podScript stands for the container runtime.
const podScript = `#!/bin/sh -e
# pod add|del NAME: a network namespace, connected as a runtime does it; pod exec NAME COMMAND
export CNI_PATH=/opt/cni/bin NETCONFPATH=/etc/cni/net.d CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=$2"
network() { sed -n 's/^ *"name": *"\([^"]*\)".*/\1/p' "$(ls /etc/cni/net.d/*.conflist | head -n 1)" | head -n 1; }
case $1 in
add) [ -e "/run/netns/$2" ] || ip netns add "$2"; cnitool add "$(network)" "/run/netns/$2" ;;
del) cnitool del "$(network)" "/run/netns/$2"; ip netns del "$2" ;;
exec) shift; exec ip netns exec "$@" ;;
esac
`

// boot adds a server to the lab.
func boot(t *testing.T, l *lab.Lab, name string) *server {
	t.Helper()
	s := &server{Node: l.Node(name), t: t}
	tree, home := lab.Tree(t, name), s.Root
	groups := s.cgroups()
	console, err := os.Create(filepath.Join(t.TempDir(), "console"))
	must(t, err)
	// The shell enters the cgroups before it becomes nspawn: two systemds in one would stop each other's units.
	script := `for g in "$@"; do mkdir -p "$g" && echo $$ >"$g/cgroup.procs" || exit 1; done
		exec systemd-nspawn -q -b -D "$TREE" --machine="$NODE" --register=no --keep-unit --network-namespace-path="$NETNS" \
			--capability=CAP_NET_ADMIN --console=pipe --timezone=off`
	cmd := exec.Command("sh", append([]string{"-c", script, "-"}, groups...)...)
	cmd.Env = append(os.Environ(), "TREE="+tree, "NODE="+name, "NETNS="+s.Namespace.Path)
	cmd.Stdout, cmd.Stderr = console, console
	must(t, cmd.Start())
	t.Cleanup(func() {
		s.Root = home // the lab still has a look at it
		s.off(cmd, console, groups)
	})
	lab.Eventually(t, 6*lab.Patience, name+" boots", func() error { return s.up(cmd.Process.Pid) })
	s.Root = fmt.Sprintf("/proc/%d/root", s.init)
	s.furnish()
	return s
}

// furnish undoes what nspawn has and a server has not, and puts the tools there.
func (s *server) furnish() {
	s.t.Helper()
	s.must("mount -o remount,bind,rw /proc/sys; umount -R /proc/sys/kernel/random/boot_id; rm -rf /opt/cni")
	s.take(lab.Program("cnitool"), "/usr/local/bin/cnitool")
	deb, err := filepath.Glob(filepath.Join(lab.SourceTree(), "bin/package/*.deb"))
	if err == nil && len(deb) != 1 {
		err = errors.New("no package, or several, in bin/package (make package)")
	}
	must(s.t, err)
	s.take(deb[0], "/root/"+filepath.Base(deb[0]))
	reference, err := lab.ReferencePlugins()
	must(s.t, err)
	for _, name := range []string{"bridge", "host-local", "loopback", "portmap"} { // those of before, for who comes from flannel
		s.take(filepath.Join(reference, name), "/root/reference/"+name)
	}
	s.WriteFile("/usr/local/bin/pod", podScript)
	s.must("chmod 755 /usr/local/bin/pod")
}

// install does what the quick start does with the package.
func (s *server) install() {
	s.t.Helper()
	s.must("dpkg-deb -x podnet_*.deb / && systemctl daemon-reload && podnetctl install && mkdir -p /etc/podnet")
}

// take copies a program to the server.
func (s *server) take(from, to string) {
	s.t.Helper()
	data, err := os.ReadFile(from)
	must(s.t, err)
	s.WriteFile(to, string(data))
	must(s.t, os.Chmod(s.Path(to), 0o755))
}

// cgroups are the directories that hold the server's processes, in each hierarchy that systemd uses.
func (s *server) cgroups() []string {
	var id unix.Stat_t
	must(s.t, unix.Stat(s.Namespace.Path, &id)) // its namespace makes the name unique on the machine
	name := fmt.Sprintf("podnet-docs-%d", id.Ino)
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", name)}
	}
	return []string{filepath.Join("/sys/fs/cgroup/systemd", name), filepath.Join("/sys/fs/cgroup/unified", name)}
}

// up finds process 1 and asks it whether the boot is complete.
func (s *server) up(nspawn int) error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", nspawn))
	if err != nil {
		return err
	}
	if s.init, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
		return fmt.Errorf("no process 1 yet: %w", err)
	}
	out, _, err := s.run("systemctl is-system-running")
	if state := strings.TrimSpace(out); err != nil || state != "running" && state != "degraded" {
		return fmt.Errorf("is-system-running: %s, %v", state, err)
	}
	return nil
}

func (s *server) off(cmd *exec.Cmd, console *os.File, groups []string) {
	if s.t.Failed() {
		journal, _, _ := s.run("journalctl --no-pager -u podnetd -n 40")
		s.t.Logf("%s: journal:\n%s", s.Host, journal)
	}
	_ = syscall.Kill(s.init, syscall.SIGKILL) // the power goes; nspawn ends with it
	_ = cmd.Wait()
	console.Close()
	for _, g := range groups {
		_ = exec.Command("find", g, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run() // empty now, or not: nothing to be done
	}
}

// run has a shell of the server's administrator run a command, and returns what it prints and its exit code.
func (s *server) run(command string) (string, int, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 12*lab.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", "-t", strconv.Itoa(s.init), "-m", "-u", "-i", "-n", "-p", "-C", "--",
		"env", "--chdir=/root", "-i", "HOME=/root", "TERM=dumb", "LC_ALL=C.UTF-8", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"bash", "-c", command)
	out, err := cmd.CombinedOutput()
	if exit := new(exec.ExitError); errors.As(err, &exit) && ctx.Err() == nil {
		return string(out), exit.ExitCode(), nil
	}
	return string(out), 0, err
}

func (s *server) must(command string) {
	s.t.Helper()
	out, code, err := s.run(command)
	if err != nil || code != 0 {
		s.t.Fatalf("%s: %s: exit code %d, %v\n%s", s.Host, command, code, err, out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
