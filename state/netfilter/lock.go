package netfilter

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLocked says that somebody else held the lock for the whole time.
var ErrLocked = errors.New("another plugin holds the lock of the packet filter")

// namespace is the calling thread's network namespace, which the rules belong to.
const namespace = "/proc/thread-self/ns/net"

// lockPath is the lock file of a network namespace, by its inode. Only root may open it: whoever
// can open a file can lock it.
const lockPath = "/run/podnet-filter.%d"

// lock is the packet filter's lock while it is held.
type lock struct {
	fd   int
	path string
}

// Lock keeps other plugins of podnet from reading rules in order to change them. It belongs to the
// network namespace, as the rules do, and its file is there only as long as somebody holds it.
// Programs that are executed meanwhile hold it too, so that one whose caller is killed has finished
// before the next plugin reads.
func Lock(timeout time.Duration) (unlock func(), err error) {
	l, err := acquire(timeout)
	if err != nil {
		return nil, err
	}
	return l.release, nil
}

func acquire(timeout time.Duration) (*lock, error) {
	path, err := lockFile()
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(timeout)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		l, err := tryLock(path)
		if l != nil || err != nil {
			return l, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%w for %s (fuser -v %s shows which)", ErrLocked, timeout, path)
		}
		time.Sleep(pause)
	}
}

// release gives the lock back. A process that is killed leaves its file, which the next one takes.
func (l *lock) release() {
	if l.path != namespace {
		_ = remove(l.path)
	}
	unix.Close(l.fd)
}

// lockFile names the lock. The root of a user namespace that may not write to /run takes the
// namespace itself, which nobody else has to do with.
func lockFile() (string, error) {
	var st unix.Stat_t
	if err := unix.Stat(namespace, &st); err != nil {
		return "", fmt.Errorf("look at this process's network namespace: %w", err)
	}
	if unix.Access("/run", unix.W_OK) != nil {
		return namespace, nil
	}
	return fmt.Sprintf(lockPath, st.Ino), nil
}

// tryLock takes the lock if it is free; else both results are nil. A file that others may open is
// not the lock, nor is one that its holder has removed since it was opened: the next try makes
// another.
func tryLock(path string) (*lock, error) {
	flags := unix.O_RDONLY // without CLOEXEC
	if path != namespace {
		flags |= unix.O_CREAT | unix.O_NOFOLLOW
	}
	fd, err := unix.Open(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of the packet filter: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	l := &lock{fd, path}
	held, err := l.try()
	if err != nil || !held {
		unix.Close(fd)
		return nil, err
	}
	return l, nil
}

func (l *lock) try() (held bool, err error) {
	if l.path != namespace {
		if theirs, err := openToOthers(l.fd); err != nil || theirs {
			return false, errors.Join(err, remove(l.path))
		}
	}
	switch err := unix.Flock(l.fd, unix.LOCK_EX|unix.LOCK_NB); err {
	case nil:
		return l.path == namespace || l.current(), nil
	case unix.EWOULDBLOCK, unix.EINTR:
		return false, nil
	default:
		return false, fmt.Errorf("lock %s: %w", l.path, err)
	}
}

// openToOthers reports whether somebody else may open the file.
func openToOthers(fd int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, fmt.Errorf("look at the lock of the packet filter: %w", err)
	}
	return st.Mode&0o077 != 0 || int(st.Uid) != unix.Geteuid(), nil
}

// current reports whether the path still leads to the open file.
func (l *lock) current() bool {
	var there, open unix.Stat_t
	return unix.Lstat(l.path, &there) == nil && unix.Fstat(l.fd, &open) == nil && there.Dev == open.Dev &&
		there.Ino == open.Ino
}

func remove(path string) error {
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		return fmt.Errorf("remove the lock of the packet filter: %w", &os.PathError{Op: "unlink", Path: path, Err: err})
	}
	return nil
}

// Locked opens a connection and calls f with the lock held: nobody else of podnet's reads or writes
// rules meanwhile. ErrLocked if others hold it for longer than timeout.
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

// settleTime is how long Find waits for the program of a plugin that was killed, which takes
// milliseconds.
const settleTime = 2 * time.Second

// Find calls look, which reports whether it finds any of somebody's rules, without the lock. If it
// finds none while somebody holds the lock, it looks again when the lock is free, or after
// settleTime: the program that a plugin executed may outlive it and write the rules only now. A
// kernel without nfnetlink has no rules.
func Find(look func(*Conn) (bool, error)) (bool, error) {
	c, err := Dial()
	if Absent(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer c.Close()
	busy := isLocked()
	if found, err := look(c); found || err != nil || !busy {
		return found, err
	}
	deadline := time.Now().Add(settleTime)
	for isLocked() && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	return look(c)
}

// isLocked reports whether somebody holds the lock. A lock that cannot be looked at is free: then
// it cannot be taken either.
func isLocked() bool {
	path, err := lockFile()
	if err != nil {
		return false
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if theirs, err := openToOthers(fd); path != namespace && (err != nil || theirs) {
		return false
	}
	return errors.Is(unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}
