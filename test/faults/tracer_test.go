package faults

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// traced is what became of a process under the tracer.
type traced struct {
	calls  int  // that may have changed something, of all its threads and children
	killed bool // by the tracer
	code   int  // exit code, if it was not
	stdout string
}

// trace runs a command and kills it with all that it started, as the end of a control group does, when it enters its nth
// system call that may change something: the kernel then does not carry the call out. n = 0 never kills. The state after
// that call is seen with n+1, so that n = 1, 2, … until nothing is killed any more has seen every state.
//
// It counts over all threads, which a Go program's calls wander among; strace's inject counts for each.
func trace(ns *lab.Namespace, cmd *exec.Cmd, n int) (traced, error) {
	stdin, err := piped(cmd.Stdin)
	if err != nil {
		return traced{}, err
	}
	defer stdin.Close()
	out, in, err := os.Pipe()
	if err != nil {
		return traced{}, err
	}
	defer out.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, in, in
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	var tr tracer
	// The tracer is one thread, the one that started the process; Do stays on it.
	err = ns.Do(func() error {
		if err := cmd.Start(); err != nil {
			return err
		}
		in.Close()
		defer cmd.Process.Release()
		return tr.run(cmd.Process.Pid, n)
	})
	if err != nil {
		return tr.traced, err
	}
	said, err := io.ReadAll(out)
	tr.stdout = string(said)
	return tr.traced, err
}

// piped is a small input that needs nobody to feed it.
func piped(r io.Reader) (*os.File, error) {
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

type tracer struct {
	traced
	leader int
	known  map[int]bool // threads
}

const (
	ptraceOptions = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
		unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
	// Only this thread's own tracees: the other threads have children of their own.
	waitOptions = unix.WALL | unix.WNOTHREAD
	syscallStop = unix.SIGTRAP | 0x80
)

func (t *tracer) run(pid, n int) error {
	t.leader, t.known = pid, map[int]bool{pid: true}
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, waitOptions, nil); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(pid, ptraceOptions); err != nil {
		return err
	}
	tid := pid
	var deliver int
	for {
		// ESRCH: killed by now, which the wait will tell.
		if err := unix.PtraceSyscall(tid, deliver); err != nil && err != unix.ESRCH {
			return err
		}
		for {
			var err error
			if tid, err = unix.Wait4(-1, &ws, waitOptions, nil); err == unix.ECHILD {
				return nil
			} else if err != nil && err != unix.EINTR {
				return err
			} else if err == nil && ws.Stopped() {
				break
			} else if tid == pid && ws.Exited() {
				t.code = ws.ExitStatus()
			}
		}
		deliver = t.stopped(tid, ws, n)
	}
}

// stopped looks at a thread that has stopped and returns the signal that it goes on with.
func (t *tracer) stopped(tid int, ws unix.WaitStatus, n int) int {
	isNew := !t.known[tid]
	t.known[tid] = true
	switch sig := ws.StopSignal(); {
	case sig == syscallStop:
		if changes(tid) && !t.killed {
			if t.calls++; t.calls == n {
				t.kill()
			}
		}
		return 0
	case sig == unix.SIGTRAP && ws.TrapCause() > 0, sig == unix.SIGSTOP && isNew:
		return 0
	default:
		return int(sig)
	}
}

func (t *tracer) kill() {
	t.killed = true
	for tid := range t.known {
		_ = unix.Kill(tid, unix.SIGKILL) // a thread's number stands for its process; gone is fine
	}
}

// syscallInfo is struct ptrace_syscall_info as far as a call's entry fills it.
type syscallInfo struct {
	op   uint8
	_    [23]byte // architecture, instruction and stack pointer
	nr   uint64
	args [6]uint64
}

func entered(tid int) (syscallInfo, bool) {
	const getSyscallInfo, entry = 0x420e, 1
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, getSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	return info, errno == 0 && info.op == entry
}

// changes says whether a thread is entering a call that may change something outside of its process. Questions that go
// over netlink are among them: they look like orders.
func changes(tid int) bool {
	info, ok := entered(tid)
	if !ok {
		return false
	}
	switch info.nr {
	case unix.SYS_OPENAT:
		return info.args[2]&(unix.O_CREAT|unix.O_TRUNC) != 0
	case unix.SYS_WRITE, unix.SYS_PWRITE64:
		return outwards(tid, info.args[0])
	case unix.SYS_LINKAT, unix.SYS_SYMLINKAT, unix.SYS_UNLINKAT, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_MKDIRAT,
		unix.SYS_UTIMENSAT, unix.SYS_FTRUNCATE, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FLOCK, unix.SYS_FSYNC,
		unix.SYS_SENDTO, unix.SYS_SENDMSG, unix.SYS_SENDMMSG, unix.SYS_SETSOCKOPT:
		return true
	}
	return false
}

// outwards says that a descriptor is more than the way in which the threads of the process wake each other.
func outwards(tid int, fd uint64) bool {
	target, err := os.Readlink("/proc/" + strconv.Itoa(tid) + "/fd/" + strconv.Itoa(int(fd)))
	return err == nil && !strings.HasPrefix(target, "anon_inode:") && (fd == 1 || !strings.HasPrefix(target, "pipe:"))
}
