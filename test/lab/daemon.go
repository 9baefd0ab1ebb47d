package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Daemon is a running podnetd.
type Daemon struct {
	PID int

	cmd  *exec.Cmd
	log  string        // path of what it writes to standard output and error
	done chan struct{} // closed when it has ended and cmd holds how
}

// Launch starts podnetd on the node without waiting for anything. It resyncs every ten minutes
// only, so that what heals in a test was healed because of an event; flags come after the lab's own
// and win.
func (n *Node) Launch(flags ...string) *Daemon {
	n.lab.Helper()
	n.settle()
	if n.daemon != nil && !n.daemon.Ended() {
		n.lab.Fatalf("%s: podnetd runs already", n.Host)
	}
	log, err := os.OpenFile(n.Path("podnetd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	n.lab.must(err)
	defer log.Close()
	args := append([]string{"--root", n.Root, "--node", n.Host, "--resync", "10m", "--log-format", "json"}, flags...)
	d := &Daemon{cmd: exec.Command(Program("podnetd"), args...), log: log.Name(), done: make(chan struct{})}
	d.cmd.Dir = "/"
	d.cmd.Stdout, d.cmd.Stderr = log, log
	n.lab.must(n.Do(d.cmd.Start))
	d.PID = d.cmd.Process.Pid
	go func() {
		_ = d.cmd.Wait() // ExitCode reports it
		close(d.done)
	}()
	n.daemon = d
	return d
}

// Start launches podnetd and waits for the end of its first pass.
func (n *Node) Start(flags ...string) *Daemon {
	n.lab.Helper()
	d := n.Launch(flags...)
	Eventually(n.lab, Patience, n.Host+": first pass of podnetd", func() error {
		if d.Ended() {
			n.lab.Fatalf("%s: podnetd ended with code %d:\n%s", n.Host, d.ExitCode(), d.Log())
		}
		return n.passBy(d)
	})
	return d
}

// passBy says what is missing until the status on disk is one that d wrote.
func (n *Node) passBy(d *Daemon) error {
	status, err := n.Status()
	if err != nil {
		return err
	}
	if status.Daemon.PID != d.PID {
		return fmt.Errorf("status.json is of process %d, want %d; log:\n%s", status.Daemon.PID, d.PID, d.Log())
	}
	return nil
}

// Stop ends podnetd with SIGTERM and returns its exit code.
func (n *Node) Stop() int {
	n.lab.Helper()
	d := n.daemon
	d.Signal(unix.SIGTERM)
	Eventually(n.lab, Patience, n.Host+": podnetd ends after SIGTERM", func() error {
		if !d.Ended() {
			return fmt.Errorf("process %d still runs", d.PID)
		}
		return nil
	})
	return d.ExitCode()
}

// Restart stops podnetd and starts it anew.
func (n *Node) Restart() *Daemon {
	n.lab.Helper()
	n.Stop()
	return n.Start()
}

// Kill9 ends podnetd with SIGKILL, as the out-of-memory killer would.
func (n *Node) Kill9() {
	n.daemon.Signal(unix.SIGKILL)
	<-n.daemon.done
}

// kill ends whatever daemon the node still has and, after a failure, shows the end of its log.
func (n *Node) kill() {
	d := n.daemon
	if d == nil {
		return
	}
	d.Signal(unix.SIGKILL)
	<-d.done
	if n.lab.Failed() {
		n.lab.Logf("%s: end of the log of podnetd:\n%s", n.Host, d.Log())
	}
}

// Signal sends one; a daemon that has ended gets none.
func (d *Daemon) Signal(s syscall.Signal) { _ = d.cmd.Process.Signal(s) }

// Ended says whether the process is gone.
func (d *Daemon) Ended() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// CPU is the processor time that podnetd has had so far, to a hundredth of a second.
func (d *Daemon) CPU(t TB) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.PID))
	if err != nil {
		t.Fatalf("%v", err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')'):]))
	ticks := 0
	for _, field := range fields[12:14] { // utime, stime
		n, err := strconv.Atoi(field)
		if err != nil {
			t.Fatalf("%v", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// ExitCode is how it ended; it waits for that.
func (d *Daemon) ExitCode() int {
	<-d.done
	return exitCode(waitStatus(d.cmd))
}

// logTail is how many lines of a log help a reader of a failed test.
const logTail = 30

// Log is the end of what the daemon said.
func (d *Daemon) Log() string {
	data, err := os.ReadFile(d.log)
	if err != nil {
		return fmt.Sprintf("(%s: %v)", filepath.Base(d.log), err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-logTail):], "\n")
}
