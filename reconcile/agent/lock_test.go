package agent

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// A daemon that was killed may leave its socket to a child for a moment, which nobody but a daemon
// answers at.
func TestHoldDaemon(t *testing.T) {
	err := lab.NewNamespace(t, "daemons").Do(func() error {
		paths := state.DefaultPaths(t.TempDir())
		first, err := HoldDaemon(paths)
		if err != nil {
			return err
		}
		_, err = HoldDaemon(paths)
		if says := fmt.Sprintf("pid %d", os.Getpid()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("beside a daemon: %v, want %q", err, says)
		}
		if err := first.Release(); err != nil {
			return err
		}
		left, err := net.Listen("unix", daemonSocket)
		if err != nil {
			return err
		}
		time.AfterFunc(heirs/10, func() { left.Close() })
		next, err := HoldDaemon(paths)
		if err != nil {
			t.Errorf("after a daemon that was killed: %v", err)
			return nil
		}
		return next.Release()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Anyone can take the name of the socket. That keeps no podnetd out, and makes nobody a daemon:
// podnetd says who it is.
func TestSocketOfAnotherUser(t *testing.T) {
	const user, same = 1000, ^uintptr(0)
	become := func(euid uintptr) syscall.Errno { // of this thread alone
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, same, euid, same)
		return errno
	}
	err := lab.NewNamespace(t, "taken").Do(func() error {
		if errno := become(user); errno != 0 {
			t.Skipf("this user namespace has one user only: run as root (%v)", errno)
		}
		l, err := net.Listen("unix", daemonSocket)
		if errno := become(0); err != nil || errno != 0 {
			return errors.Join(err, errno)
		}
		defer l.Close()
		go answer(l)
		paths := state.DefaultPaths(t.TempDir())
		if DaemonRuns(paths) {
			t.Error("it counts as a daemon")
		}
		first, err := HoldDaemon(paths)
		if err != nil {
			return err
		}
		if says := fmt.Sprintf(`pid %d ("exe"), uid 1000`, os.Getpid()); Squatter() != says {
			t.Errorf("the squatter is %q, want %q", Squatter(), says)
		}
		if !DaemonRuns(paths) {
			t.Error("the daemon does not count")
		}
		if _, err := HoldDaemon(paths); !errors.Is(err, ErrDaemonRuns) {
			t.Errorf("a second daemon beside it: %v", err)
		}
		l.Close()
		first.TakeSocket()
		if Squatter() != "" || !DaemonRuns(state.DefaultPaths(t.TempDir())) {
			t.Errorf("after the squatter has gone, the socket is not the daemon's: %q", Squatter())
		}
		return first.Release()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Who is refused learns by whom: a podnetd is root's, whatever another program calls itself.
func TestHolderOfTheSocket(t *testing.T) {
	for _, c := range []struct {
		by      *holder
		podnetd bool
		says    string
	}{
		{&holder{811, 0, "podnetd"}, true, `pid 811 ("podnetd"), uid 0 (systemctl status podnetd)`},
		{&holder{811, 0, ""}, true, "pid 811, uid 0 (systemctl status podnetd)"},
		{&holder{811, 0, "python3"}, false, `pid 811 ("python3"), uid 0; that is not podnetd: kill 811, then  systemctl restart podnetd`},
		{&holder{0, 0, "nginx"}, false, "that is not podnetd: end it"},
		{nil, false, "ss -xap | grep @podnetd"},
	} {
		if err := c.by.refuses(); errors.Is(err, ErrDaemonRuns) != c.podnetd || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.by, err, c.says)
		}
	}
}

// Only who has the lock counts, not who waits for it, or has another sort of lock.
func TestLockHolder(t *testing.T) {
	const locks = "1: POSIX  ADVISORY  WRITE 811 00:1a:1043 0 EOF\n2: FLOCK  ADVISORY  WRITE 812 00:1a:1043 0 EOF\n" +
		"2: -> FLOCK  ADVISORY  WRITE 977 00:1a:1043 0 EOF\n3: FLOCK  ADVISORY  WRITE 813 00:1b:1043 0 EOF\n"
	for file, want := range map[string]int{"00:1a:1043": 812, "00:1b:1043": 813, "00:1a:104": 0} {
		if got := lockingPID([]byte(locks), file); got != want {
			t.Errorf("%s: %d, want %d", file, got, want)
		}
	}
}

// Who reads of a holder sees whether it goes on by itself, and what to type, whatever the program
// calls itself.
func TestLockHolderInWords(t *testing.T) {
	for _, c := range []struct{ stat, says, remedy string }{
		{"812 (podnetctl) S 1 812", "podnetctl (pid 812)", "kill 812  ends it"},
		{"812 (podnetctl) T 1 812", "podnetctl (pid 812), which is stopped,", "kill -CONT 812  lets it go on,  kill -KILL 812  ends it"},
		{"812 (a) T (b) t 1 812", "a) T (b (pid 812), which is stopped,", "kill -CONT 812  lets it go on,  kill -KILL 812  ends it"},
		{"812 (\x1b[5m) R 1 812", `"\x1b[5m" (pid 812)`, "kill 812  ends it"},
	} {
		h := LockHolder{Path: "/run/podnet/lock", PID: 812}
		h.Name, h.Stopped = programState([]byte(c.stat))
		if h.String() != c.says || h.Remedy() != c.remedy {
			t.Errorf("%q: %q, %q; want %q, %q", c.stat, h, h.Remedy(), c.says, c.remedy)
		}
	}
	if unknown := (LockHolder{Path: "/run/podnet/lock"}); unknown.Remedy() != "fuser -v /run/podnet/lock  finds it" {
		t.Errorf("nobody known: %q", unknown.Remedy())
	}
}
