package lab

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

	"golang.org/x/sys/unix"
)

// Server is a node with a systemd of its own, on a copy-on-write view of this machine's file system
// (Tree). Its Root is seen through its process 1, so that what the lab reads and writes is what the
// server sees.
type Server struct {
	*Node

	init    int // its process 1
	nspawn  *exec.Cmd
	console *os.File
	groups  []*group
	home    string // the Root that the lab gave it
}

// RequireBoot says what is missing to boot servers, with the remedy.
func RequireBoot() error {
	for _, need := range [][2]string{{"systemd-nspawn", "systemd-container"}, {"dbus-daemon", "dbus-daemon"},
		{"/lib/systemd/systemd", "systemd"}} {
		if _, err := exec.LookPath(need[0]); err != nil {
			return fmt.Errorf("%s is not installed (apt-get install %s)", need[0], need[1])
		}
	}
	uids, err := os.ReadFile("/proc/self/uid_map")
	if fields := strings.Fields(string(uids)); err != nil || len(fields) != 3 || fields[2] == "1" {
		return errors.New("this needs root: systemd-nspawn takes cgroups and mounts that an ordinary user has not")
	}
	return nil
}

// Boot adds a server to the lab, without podnet, and waits until it is up; its host name is the
// node's.
func (l *Lab) Boot(name string) *Server {
	l.Helper()
	s := &Server{Node: l.Node(name)}
	s.home = s.Root
	s.group()
	var err error
	s.console, err = os.Create(filepath.Join(l.dir, name+".console"))
	l.must(err)
	// The shell enters the cgroups before it becomes nspawn: two systemds in one would stop each
	// other's units.
	script := `for g in "$@"; do echo $$ >"$g/cgroup.procs" || exit 1; done
		exec systemd-nspawn -q -b -D "$TREE" --machine="$NODE" --register=no --keep-unit --network-namespace-path="$NETNS" \
			--capability=CAP_NET_ADMIN --console=pipe --timezone=off`
	s.nspawn = exec.Command("sh", "-c", script, "-")
	for _, g := range s.groups {
		s.nspawn.Args = append(s.nspawn.Args, g.path)
	}
	s.nspawn.Env = append(os.Environ(), "TREE="+Tree(l, name), "NODE="+name, "NETNS="+s.Namespace.Path)
	s.nspawn.Stdout, s.nspawn.Stderr = s.console, s.console
	l.must(s.nspawn.Start())
	l.Cleanup(s.off)
	Eventually(l, 6*Patience, name+" boots", s.up)
	s.Root = fmt.Sprintf("/proc/%d/root", s.init)
	// What nspawn has and a server has not: read-only tunables, and a boot id of its own that is
	// mounted over the kernel's.
	for _, line := range []string{"mount -o remount,bind,rw /proc/sys", "umount -R /proc/sys/kernel/random/boot_id"} {
		if out, err := s.Enter(l.Context(), strings.Fields(line)...).CombinedOutput(); err != nil {
			l.Fatalf("%s: %s: %v: %s", name, line, err, out)
		}
	}
	return s
}

// Enter is a command in all of the server's namespaces, not yet started; it inherits the
// environment of the test.
func (s *Server) Enter(ctx context.Context, args ...string) *exec.Cmd {
	in := []string{"-t", strconv.Itoa(s.init), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "-u", "TMPDIR"}
	return exec.CommandContext(ctx, "nsenter", append(in, args...)...)
}

// group makes the cgroups that hold the server's processes.
func (s *Server) group() {
	var id unix.Stat_t
	s.lab.must(unix.Stat(s.Namespace.Path, &id)) // its namespace makes the name unique on the machine
	for _, parent := range groupParents() {
		path := filepath.Join(parent, fmt.Sprint(groupName, id.Ino))
		removeLeftGroups(parent)
		g, err := newGroup(path)
		s.lab.must(err)
		s.groups = append(s.groups, g)
	}
}

// up finds process 1 and asks it whether the boot is complete.
func (s *Server) up() error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%[1]d/children", s.nspawn.Process.Pid))
	if err != nil {
		return err
	}
	if s.init, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
		return fmt.Errorf("no process 1 yet: %w", err)
	}
	out, _ := s.Enter(s.lab.Context(), "systemctl", "is-system-running").CombinedOutput() // what it prints says more than the error
	if state := strings.TrimSpace(string(out)); state != "running" && state != "degraded" {
		return fmt.Errorf("is-system-running: %s", state)
	}
	return nil
}

// off cuts the server's power; after a failure it shows what the server said.
func (s *Server) off() {
	if s.lab.Failed() && s.init != 0 {
		journal, _ := s.Enter(context.Background(), "journalctl", "--no-pager", "-u", "podnetd", "-n", "40").CombinedOutput()
		console, _ := os.ReadFile(s.console.Name())
		s.lab.Logf("%s: journal:\n%s\nconsole:\n%s", s.Host, journal, console)
	}
	s.Root = s.home // the lab still has a look at it
	if s.init != 0 {
		_ = syscall.Kill(s.init, syscall.SIGKILL) // nspawn ends with it
	} else {
		_ = s.nspawn.Process.Kill()
	}
	_ = s.nspawn.Wait()
	s.console.Close()
	for _, g := range s.groups {
		g.remove()
	}
}
