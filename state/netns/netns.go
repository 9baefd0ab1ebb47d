// Package netns enters network namespaces by their paths: those of pods, from the node's.
package netns

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

var (
	// ErrGone says that there is no network namespace at the path, or no longer.
	ErrGone = errors.New("no network namespace")
	// ErrHost says that the path is the namespace that this process itself is in: the host's.
	ErrHost = errors.New("it is the namespace that the plugin itself runs in")
)

// Namespace is an open one. It lives at least as long as it is open, whoever deletes its path.
type Namespace struct {
	Path string
	fd   int
	home int // the namespace that this process is in
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
	n := &Namespace{path, fd, home}
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

// Close lets go of it.
func (n *Namespace) Close() {
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
