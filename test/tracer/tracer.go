// Package tracer runs programs under ptrace, so that a test can end them at any of their system
// calls, or have a call fail, without the program's knowledge or help.
package tracer

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// Verdict is what becomes of a system call.
type Verdict struct {
	Kill  bool          // the program and all that it started end here, as the processes of a control group do
	Errno syscall.Errno // the call is not carried out and fails with this; 0: it goes on
}

// Tracer watches one program with all its threads and children. Its functions are called from one
// goroutine.
type Tracer struct {
	// Enter is asked when a call is about to be carried out: a call that is killed or failed here
	// never is.
	Enter func(*Call) Verdict
	// Leave is asked when a call has been carried out and its result is about to be seen; nil:
	// nobody wants to know. Its Errno, if there is one, takes the result's place.
	Leave func(*Call) Verdict

	// Clocks has the program ask the kernel for the time, with calls that can be watched like any
	// others.
	Clocks bool

	killed  bool
	code    int
	leader  int
	threads map[int]*Call // of a thread: the call that it is in
}

// Outcome is what became of a program.
type Outcome struct {
	Killed bool   // by the tracer
	Code   int    // exit code, if it was not
	Output string // on standard output and error
}

// Run runs a command in the namespace, under the tracer, until it ends; what it leaves running is
// killed. Its standard input is read to the end first. A command that writes more than a pipe holds
// has to be given a file for that.
func (t *Tracer) Run(ns *lab.Namespace, cmd *exec.Cmd) (Outcome, error) {
	stdin, err := piped(cmd.Stdin)
	if err != nil {
		return Outcome{}, err
	}
	defer stdin.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return Outcome{}, err
	}
	defer out.Close()
	cmd.Stdin = stdin
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = in, in
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	said := make(chan string)
	// The tracer is one thread, the one that starts the process; Do stays on it.
	err = ns.Do(func() error {
		if err := cmd.Start(); err != nil {
			return errors.Join(err, in.Close())
		}
		in.Close()
		go func() {
			text, _ := io.ReadAll(out) // what could be read is what there is to say
			said <- string(text)
		}()
		defer cmd.Process.Release()
		return t.run(cmd.Process.Pid)
	})
	if cmd.Process == nil {
		return Outcome{}, err
	}
	return Outcome{t.killed, t.code, <-said}, err
}

// piped is a small input that needs nobody to feed it.
func piped(r io.Reader) (*os.File, error) {
	if r == nil {
		r = strings.NewReader("")
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	_, err = in.Write(text) // a configuration is smaller than what a pipe holds
	return out, errors.Join(err, in.Close())
}

const (
	options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	// Only this thread's own tracees: the other threads have children of their own.
	waitOptions = unix.WALL | unix.WNOTHREAD
	syscallStop = unix.SIGTRAP | 0x80
)

func (t *Tracer) run(pid int) error {
	t.leader, t.threads = pid, map[int]*Call{pid: nil}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, waitOptions, nil); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return err
	}
	if t.Clocks {
		if err := hideVDSO(pid); err != nil {
			return err
		}
	}
	for tid, deliver := pid, 0; ; {
		// ESRCH: killed by now, which the wait will tell.
		if err := unix.PtraceSyscall(tid, deliver); err != nil && err != unix.ESRCH {
			return err
		}
		var err error
		if tid, ws, err = t.wait(); err == unix.ECHILD {
			return nil
		} else if err != nil {
			return err
		}
		deliver = t.stopped(tid, ws)
	}
}

// wait returns the next thread that stops; ECHILD: none is left.
func (t *Tracer) wait() (int, unix.WaitStatus, error) {
	for {
		tid, err := t.next()
		if err != nil {
			return 0, 0, err
		}
		var ws unix.WaitStatus
		if _, err := unix.Wait4(tid, &ws, waitOptions, nil); err != nil || ws.Stopped() {
			return tid, ws, err
		}
		delete(t.threads, tid)
		if tid == t.leader {
			t.code = ws.ExitStatus()
			t.endAll() // what it leaves running
		}
	}
}

// next is the thread of which there is something to know. Not to be taken away from whoever waits
// for them are processes that were started without the tracer, on the same thread of this one.
func (t *Tracer) next() (int, error) {
	for ; len(t.threads) > 0; time.Sleep(time.Millisecond) {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|waitOptions, nil)
		if err != nil && err != unix.EINTR {
			return 0, err
		}
		const stopped = 4 // CLD_TRAPPED: a thread that was not known stops before it ends
		pid := int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 16)))
		if _, known := t.threads[pid]; err == nil && (known || info.Code >= stopped || isTraced(pid)) {
			return pid, nil
		}
	}
	return 0, unix.ECHILD
}

// isTraced tells a thread that was killed before it was ever seen from somebody else's process,
// both of which have ended.
func isTraced(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err == nil && !strings.Contains(string(status), "\nTracerPid:\t0\n")
}

// stopped looks at a thread that has stopped and returns the signal that it goes on with.
func (t *Tracer) stopped(tid int, ws unix.WaitStatus) int {
	_, known := t.threads[tid]
	if !known {
		t.threads[tid] = nil
	}
	switch sig := ws.StopSignal(); {
	case sig == syscallStop:
		if !t.killed {
			t.syscall(tid)
		}
		return 0
	case sig == unix.SIGTRAP && ws.TrapCause() > 0, sig == unix.SIGSTOP && !known:
		return 0
	default:
		return int(sig)
	}
}

// syscall asks what becomes of the call that a thread enters or leaves.
func (t *Tracer) syscall(tid int) {
	call, entry, ok := look(tid)
	switch {
	case !ok:
	case entry:
		t.threads[tid] = call
		call.verdict = t.Enter(call)
		if call.verdict.Errno != 0 {
			call.skip()
		}
		t.kill(call.verdict)
	case t.threads[tid] != nil:
		entered := t.threads[tid]
		entered.Result = call.Result
		if entered.verdict.Errno == 0 && t.Leave != nil {
			entered.verdict = t.Leave(entered)
		}
		if entered.verdict.Errno != 0 {
			entered.fail()
		}
		t.kill(entered.verdict)
	}
}

func (t *Tracer) kill(v Verdict) {
	if !v.Kill {
		return
	}
	t.killed = true
	t.endAll()
}

func (t *Tracer) endAll() {
	for tid := range t.threads {
		_ = unix.Kill(tid, unix.SIGKILL) // a thread's number stands for its process; gone is fine
	}
}
