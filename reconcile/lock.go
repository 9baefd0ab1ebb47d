package reconcile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lockPause is how long whoever waits for the lock lets go by before trying again.
const lockPause = 50 * time.Millisecond

// Lock takes the node's lock for a pass, waiting for whoever has it until ctx ends; waiting is called meanwhile, nil: nobody
// wants to know. The lock goes with the process, and with the returned function.
func Lock(ctx context.Context, path string, waiting func()) (unlock func() error, err error) {
	for {
		f, err := tryLock(path)
		if err == nil {
			return f.Close, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s is held by another process (fuser %s): %w", path, path, ctx.Err())
		case <-time.After(lockPause):
		}
		if waiting != nil {
			waiting()
		}
	}
}

// tryLock returns the locked file, or none if the lock is taken: EWOULDBLOCK.
func tryLock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil && !isStill(f, path) {
		err = unix.EWOULDBLOCK // a teardown has removed it: the next one is the lock
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// isStill says that an open file is the one of that path.
func isStill(f *os.File, path string) bool {
	a, err := f.Stat()
	b, bad := os.Stat(path)
	return err == nil && bad == nil && os.SameFile(a, b)
}

// daemonSocket is held by the one daemon of a network namespace; it is abstract, so that it goes with the process and
// belongs to the namespace.
const daemonSocket = "@podnetd"

// ErrDaemonRuns says that another podnetd runs in this network namespace.
var ErrDaemonRuns = errors.New("another podnetd runs in this network namespace (systemctl status podnetd)")

// heirs is how long a socket may outlive the daemon that was killed: a child that it has just forked closes it when it
// becomes another program.
const heirs = 2 * time.Second

// HoldDaemon makes this process the daemon of its network namespace. It waits for a socket that nobody answers at to go.
func HoldDaemon() (release func() error, err error) {
	l, err := net.Listen("unix", daemonSocket)
	for end := time.Now().Add(heirs); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end) && !answered(); {
		l, err = net.Listen("unix", daemonSocket)
	}
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

// answered says that a daemon lets this process in and out again, soon.
func answered() bool {
	c, err := net.Dial("unix", daemonSocket)
	if err != nil {
		return false
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(lockPause))
	_, err = c.Read(make([]byte, 1))
	return errors.Is(err, io.EOF)
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
