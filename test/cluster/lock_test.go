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

// hold has a process take the node's lock and then stop, as a podnetctl does that somebody has sent
// SIGSTOP. The returned function lets the process, and with it the lock, go.
func hold(t *testing.T, n *lab.Node) (pid int, release func()) {
	t.Helper()
	cmd := exec.Command("flock", n.Path("/run/podnet/lock"), "sh", "-c", "kill -STOP $PPID; cat")
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	release = func() {
		_ = unix.Kill(cmd.Process.Pid, unix.SIGCONT)
		in.Close()
		_ = cmd.Wait()
	}
	lab.Eventually(t, lab.Patience, "the lock is held by a stopped process", func() error {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", cmd.Process.Pid))
		if err == nil && !strings.Contains(string(stat), ") T ") {
			err = fmt.Errorf("it is not stopped: %s", stat)
		}
		return err
	})
	return cmd.Process.Pid, release
}

// A process that has stopped with the node's lock is named wherever one looks, with what lets it go
// on; podnetd stays alive, ends when it is told to, and heals as soon as the lock is free.
func TestLockOfAStoppedProcess(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	pid, release := hold(t, n)
	defer func() { release() }()
	n.Must("ip", "route", "del", "10.244.1.0/24")
	named := fmt.Sprintf("flock (pid %d), which is stopped, holds %s", pid, n.Path("/run/podnet/lock"))
	remedy := fmt.Sprintf("kill -CONT %d", pid)
	says := func(text string) error {
		if !strings.Contains(text, named) || !strings.Contains(text, remedy) {
			return fmt.Errorf("want %q and %q in:\n%s", named, remedy, text)
		}
		return nil
	}
	lab.Eventually(t, lab.Patience, "status.json names the holder", func() error {
		s, err := n.Status()
		if err != nil {
			return err
		}
		c := s.Condition("Degraded")
		if c.Status != "True" || c.Reason != "LockHeld" {
			return fmt.Errorf("Degraded is %+v", c)
		}
		return says(c.Message)
	})
	out := n.Podnetctl("status")
	if err := says(strings.Join(strings.Fields(out.Stdout), " ")); err != nil || out.Code != 1 {
		t.Errorf("status, exit code %d: %v", out.Code, err)
	}
	log, err := n.ReadFile("podnetd.log")
	if err != nil || says(log) != nil {
		t.Errorf("the log: %v, %v", err, says(log))
	}
	n.Must("kill", "-CONT", fmt.Sprint(pid)) // the remedy; what waits for the end of its input then is let go too
	release()
	lab.Eventually(t, lab.Patience, "the route is back, and the condition gone", func() error {
		s, err := n.Status()
		if err == nil && (s.Condition("Degraded").Status != "False" || !s.InSync) {
			err = fmt.Errorf("%+v", s.Condition("Degraded"))
		}
		return err
	})

	_, release = hold(t, n)
	n.Must("ip", "route", "del", "10.244.1.0/24")
	if code := n.Stop(); code != 0 {
		t.Errorf("SIGTERM while podnetd waits for the lock: exit code %d", code)
	}
	n.Start() // says READY, and has a status, although no pass can be made
	if s, err := n.Status(); err != nil || s.Condition("Ready").Status != "False" {
		t.Errorf("started while the lock is held: %+v, %v", s, err)
	}
}
