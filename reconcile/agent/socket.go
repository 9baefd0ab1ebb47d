package agent

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// daemonSocket is held by the one daemon of a network namespace; it is abstract, so that it goes
// with the process and belongs to the namespace. Any process of the namespace may take the name; a
// daemon is known by its uid, which is 0.
const daemonSocket = "@podnetd"

// ErrDaemonRuns says that another podnetd runs in this network namespace.
var ErrDaemonRuns = errors.New("another podnetd runs in this network namespace")

// heirs is how long a socket may outlive the daemon that was killed: a child that it has just
// forked closes it when it becomes another program.
const heirs = 2 * time.Second

// listen takes the socket. It waits for one that nobody answers at to go. A socket that stays is
// nil if it is another user's, and an error that names its holder if it is root's.
func listen() (net.Listener, error) {
	l, err := net.Listen("unix", daemonSocket)
	for end := time.Now().Add(heirs); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); {
		by, answered := call()
		if answered || by != nil && by.uid != 0 {
			break // who lets nobody in is not to be asked for ever
		}
		l, err = net.Listen("unix", daemonSocket)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		by, _ := socketHolder()
		if by == nil || by.uid == 0 {
			return nil, by.refuses()
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	go answer(l)
	return l, nil
}

// answer lets every caller in and out again: that it was let in is all it wants to know.
func answer(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

// call asks at the socket: by whom it is held, nil if the kernel does not say, and whether that one
// lets this process in and out again, soon, as a daemon does.
func call() (by *holder, answered bool) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: daemonSocket, Net: "unix"})
	if err != nil {
		return nil, false
	}
	defer c.Close()
	by = peer(c)
	_ = c.SetReadDeadline(time.Now().Add(lockPause))
	_, err = c.Read(make([]byte, 1))
	return by, errors.Is(err, io.EOF)
}

// holder is the process that listens at the socket, as the kernel has it; nil: nobody knows.
type holder struct {
	pid     int // 0: of another PID namespace, or nobody knows
	uid     uint32
	program string // ""; this process may not know
}

func peer(c *net.UnixConn) *holder {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	var cred *unix.Ucred
	bad := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if bad != nil || err != nil {
		return nil
	}
	by := &holder{pid: int(cred.Pid), uid: cred.Uid}
	if comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", by.pid)); err == nil {
		by.program = strings.TrimSpace(string(comm))
	}
	return by
}

// refuses is the error of a daemon that comes second to another, or to a program of root's that has
// taken the name.
func (h *holder) refuses() error {
	const daemon = "podnetd"
	switch {
	case h == nil:
		return fmt.Errorf("another podnetd runs in this network namespace, or another program holds its socket %s (systemctl status podnetd,"+
			" or  ss -xap | grep %s  names it)", daemonSocket, daemonSocket)
	case h.uid == 0 && (h.program == daemon || h.program == ""):
		return fmt.Errorf("%w: %s (systemctl status podnetd)", ErrDaemonRuns, h)
	case h.pid == 0:
		return fmt.Errorf("the socket %s, by which a podnetd is the only one of its network namespace, is held by %s; that is not podnetd:"+
			" end it, then  systemctl restart podnetd", daemonSocket, h)
	}
	return fmt.Errorf("the socket %s, by which a podnetd is the only one of its network namespace, is held by %s; that is not podnetd:"+
		" kill %d, then  systemctl restart podnetd", daemonSocket, h, h.pid)
}

func (h *holder) String() string {
	who := fmt.Sprintf("pid %d", h.pid)
	if h.pid == 0 {
		who = "a process that cannot be named from here (ss -xap | grep " + daemonSocket + "  may)"
	}
	if h.program != "" {
		who += fmt.Sprintf(" (%q)", h.program) // anyone may call himself anything
	}
	return who + fmt.Sprintf(", uid %d", h.uid)
}
