package reconcile

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lock takes the node's lock for a pass, waiting for whoever has it. It goes with the process, and with the returned
// function.
func Lock(path string) (unlock func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f.Close, nil
}

// daemonSocket is held by the one daemon of a network namespace; it is abstract, so that it goes with the process and
// belongs to the namespace.
const daemonSocket = "@podnetd"

// ErrDaemonRuns says that another podnetd runs in this network namespace.
var ErrDaemonRuns = errors.New("another podnetd runs in this network namespace (systemctl status podnetd)")

// HoldDaemon makes this process the daemon of its network namespace.
func HoldDaemon() (release func() error, err error) {
	l, err := net.Listen("unix", daemonSocket)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, ErrDaemonRuns
	}
	if err != nil {
		return nil, err
	}
	go answer(l)
	return l.Close, nil
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

// DaemonRuns says whether a daemon holds this network namespace.
func DaemonRuns() bool {
	c, err := net.Dial("unix", daemonSocket)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
