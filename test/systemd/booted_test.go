package systemd

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

// booted is a node of the lab with a systemd of its own, on a copy of this machine's file system.
type booted struct {
	*lab.Node
	t    *testing.T
	tree string
	home string // the Root that the lab gave it
	init int    // process 1 of the node
}

// boot adds a node to the lab, boots it, and installs the package. Its Root is seen through its process 1, so that what the
// lab reads and writes is what the node sees.
func boot(t *testing.T, l *lab.Lab, name string) *booted {
	t.Helper()
	requires(t, "systemd-nspawn", "systemd-container")
	if _, err := os.Stat("/lib/systemd/systemd"); err != nil {
		t.Skip("systemd is not installed (apt-get install systemd)")
	}
	if uids, err := os.ReadFile("/proc/self/uid_map"); err != nil || len(strings.Fields(string(uids))) != 3 || strings.Fields(string(uids))[2] == "1" {
		t.Skip("this needs root: systemd-nspawn takes cgroups and mounts that an ordinary user has not")
	}
	b := &booted{Node: l.Node(name), t: t, tree: lab.Tree(t, name)}
	b.home = b.Root
	groups := b.cgroups()
	log, err := os.Create(filepath.Join(t.TempDir(), "console"))
	must(t, err)
	// The shell enters the cgroups before it becomes nspawn: two systemds in one would stop each other's units.
	script := `for g in "$@"; do mkdir -p "$g" && echo $$ >"$g/cgroup.procs" || exit 1; done
		exec systemd-nspawn -q -b -D "$TREE" --machine="$NODE" --register=no --keep-unit --network-namespace-path="$NETNS" \
			--capability=CAP_NET_ADMIN --console=pipe --timezone=off`
	cmd := exec.Command("sh", append([]string{"-c", script, "-"}, groups...)...)
	cmd.Env = append(os.Environ(), "TREE="+b.tree, "NODE="+name, "NETNS="+b.Node.Namespace.Path)
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	t.Cleanup(func() { b.off(cmd, log, groups) })
	lab.Eventually(t, lab.Patience, name+" boots", func() error { return b.up(cmd.Process.Pid) })
	b.Root = fmt.Sprintf("/proc/%d/root", b.init)
	// What nspawn has and a host has not: read-only tunables, and a boot id of its own that is mounted over the kernel's.
	b.must("mount", "-o", "remount,bind,rw", "/proc/sys")
	b.must("umount", "-R", "/proc/sys/kernel/random/boot_id")
	b.install(made(t))
	return b
}

// cgroups are the directories that hold the node's processes, in each hierarchy that systemd uses.
func (b *booted) cgroups() []string {
	var id unix.Stat_t
	must(b.t, unix.Stat(b.Node.Namespace.Path, &id)) // its namespace makes the name unique on the machine
	name := fmt.Sprintf("podnet-test-%d", id.Ino)
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return []string{filepath.Join("/sys/fs/cgroup", name)}
	}
	return []string{filepath.Join("/sys/fs/cgroup/systemd", name), filepath.Join("/sys/fs/cgroup/unified", name)}
}

// up finds process 1 and asks it whether the boot is complete.
func (b *booted) up(nspawn int) error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", nspawn))
	if err != nil {
		return err
	}
	if b.init, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
		return fmt.Errorf("no process 1 yet: %w", err)
	}
	out, _ := b.do("systemctl", "is-system-running")
	if state := strings.TrimSpace(out); state != "running" && state != "degraded" {
		return fmt.Errorf("is-system-running: %s", state)
	}
	return nil
}

// off switches the node off.
func (b *booted) off(cmd *exec.Cmd, log *os.File, groups []string) {
	if b.t.Failed() {
		journal, _ := b.do("journalctl", "--no-pager", "-u", "podnetd", "-n", "40")
		console, _ := os.ReadFile(log.Name())
		b.t.Logf("%s: journal:\n%s\nconsole:\n%s", b.Host, journal, console)
	}
	b.Root = b.home                           // the lab still has a look at it
	_ = syscall.Kill(b.init, syscall.SIGKILL) // the power goes; nspawn ends with it
	_ = cmd.Wait()
	log.Close()
	for _, g := range groups {
		_ = exec.Command("find", g, "-depth", "-type", "d", "-exec", "rmdir", "{}", "+").Run() // empty now, or not: nothing to be done
	}
}

// do runs a command in all of the node's namespaces.
func (b *booted) do(args ...string) (string, error) { return b.feed("", args...) }

func (b *booted) feed(input string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 6*lab.Patience)
	defer cancel()
	all := append([]string{"-t", strconv.Itoa(b.init), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "-u", "TMPDIR"}, args...)
	cmd := exec.CommandContext(ctx, "nsenter", all...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

func (b *booted) must(args ...string) string {
	b.t.Helper()
	out, err := b.do(args...)
	must(b.t, err)
	return out
}

// show is a property of podnetd.service.
func (b *booted) show(property string) string {
	b.t.Helper()
	return strings.TrimSpace(b.must("systemctl", "show", "--value", "-p", property, "podnetd.service"))
}

// dropIn adds to the unit, as an administrator would.
func (b *booted) dropIn(text string) {
	b.t.Helper()
	b.WriteFile("/etc/systemd/system/podnetd.service.d/test.conf", text)
	b.must("systemctl", "daemon-reload")
}

// install puts a deb on the node.
func (b *booted) install(deb string) {
	b.t.Helper()
	data, err := os.ReadFile(deb)
	must(b.t, err)
	b.WriteFile("/var/tmp/podnet.deb", string(data))
	b.must("dpkg", "-i", "/var/tmp/podnet.deb")
}

func made(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(lab.SourceTree(), "bin/package/*.deb"))
	if err == nil && len(found) != 1 {
		err = errors.New("no package, or several, in bin/package (make package)")
	}
	must(t, err)
	return found[0]
}

func requires(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (apt-get install %s)", program, pkg)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
