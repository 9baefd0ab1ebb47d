package firewall

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that somebody else held the lock for the whole time.
var ErrLocked = errors.New("another plugin holds the lock of the packet filter")

// Lock keeps other plugins of podnet from reading rules in order to change them. It belongs to the network namespace, as the
// rules do, and needs no file: it is held on the namespace's own inode. Programs that are executed meanwhile hold it too, so
// that one whose caller is killed has finished before the next plugin reads.
func Lock(timeout time.Duration) (unlock func(), err error) {
	fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY, 0) // without CLOEXEC
	if err != nil {
		return nil, fmt.Errorf("open this process's network namespace: %w", err)
	}
	deadline := time.Now().Add(timeout)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { unix.Close(fd) }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			unix.Close(fd)
			return nil, fmt.Errorf("lock the packet filter: %w", err)
		}
		if time.Now().After(deadline) {
			unix.Close(fd)
			return nil, fmt.Errorf("%w for %s", ErrLocked, timeout)
		}
		time.Sleep(pause)
	}
}

// Locked opens a connection and calls f with the lock held: nobody else of podnet's reads or writes rules meanwhile. ErrLocked
// if others hold it for longer than timeout.
func Locked(timeout time.Duration, f func(*Conn) error) error {
	unlock, err := Lock(timeout)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := Dial()
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}
