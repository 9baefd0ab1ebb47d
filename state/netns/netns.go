// Package netns enters network namespaces by their paths: those of pods, from the node's.
package netns

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/flock"
)

var (
	// ErrGone says that there is no network namespace at the path, or no longer.
	ErrGone = errors.New("no network namespace")
	// ErrHost says that the path is the namespace that this process itself is in: the host's.
	ErrHost = errors.New("it is the namespace that the plugin itself runs in")
	// ErrBusy says that others had the namespace locked for the whole time that the caller was ready
	// to wait.
	ErrBusy = errors.New("another call for this pod is at work")
)

// Namespace is an open one. It lives at least as long as it is open, whoever deletes its path.
type Namespace struct {
	Path string
	fd   int
	home int         // the namespace that this process is in
	lock *flock.Lock // nil: it is not locked
}

// Open opens the namespace at path: ErrGone, ErrHost.
func Open(path string) (*Namespace, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT || err == unix.ENOTDIR {
		return nil, fmt.Errorf("%s: %w", path, ErrGone)
	}
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", path, err)
	}
	home, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open this process's network namespace: %w", err)
	}
	n := &Namespace{Path: path, fd: fd, home: home}
	if err := n.check(); err != nil {
		n.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// check tells namespaces apart by device and inode. What stays of a bind mount that is gone is an
// ordinary file.
func (n *Namespace) check() error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(n.fd, &fs); err != nil {
		return err
	}
	if fs.Type != unix.NSFS_MAGIC {
		return ErrGone
	}
	var there, here unix.Stat_t
	if err := errors.Join(unix.Fstat(n.fd, &there), unix.Fstat(n.home, &here)); err != nil {
		return err
	}
	if there.Dev == here.Dev && there.Ino == here.Ino {
		return ErrHost
	}
	return nil
}

// FD is for the kernel to tell the namespace by, as long as it is open.
func (n *Namespace) FD() int { return n.fd }

// Lock keeps others that lock the namespace waiting until Close: ErrBusy. It opens the namespace
// once more, for the lock is one of an open file.
func (n *Namespace) Lock(ctx context.Context) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", n.fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open network namespace %s again: %w", n.Path, err)
	}
	n.lock, err = flock.Take(ctx, fd, n.Path, ErrBusy)
	return err
}

// Close lets go of it, and of its lock.
func (n *Namespace) Close() {
	if n.lock != nil {
		n.lock.Close()
	}
	unix.Close(n.fd)
	unix.Close(n.home)
}

// Do calls f on a thread in the namespace: a socket that it opens stays in there, and /proc/sys/net
// is the namespace's. It is for what cannot be done from outside. If the thread cannot come back it
// is never used again.
func (n *Namespace) Do(f func() error) error {
	runtime.LockOSThread()
	if err := unix.Setns(n.fd, unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		if err == unix.EINVAL {
			err = ErrGone
		}
		return fmt.Errorf("enter network namespace %s: %w", n.Path, err)
	}
	err := f()
	if back := unix.Setns(n.home, unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("leave network namespace %s: %w", n.Path, back))
	}
	runtime.UnlockOSThread()
	return err
}
