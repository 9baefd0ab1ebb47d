// Package flock locks files against other processes, as flock(1) does, and waits no longer than its
// caller is ready to.
package flock

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"
)

// Lock is a locked file, as long as it is open. The kernel gives it back by itself if the process
// dies.
type Lock struct{ fd int }

// Close gives the lock back.
func (l *Lock) Close() { unix.Close(l.fd) }

// Take locks an open file, which belongs to the lock from then on, and is closed if there is none.
// Others may have it locked until the context ends: the error is busy then, with the command that
// finds them by the path.
func Take(ctx context.Context, fd int, path string, busy error) (*Lock, error) {
	switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err {
	case nil:
		return &Lock{fd}, nil
	case unix.EWOULDBLOCK:
		return wait(ctx, fd, path, busy)
	default:
		unix.Close(fd)
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
}

// wait blocks in the kernel, which wakes waiters without delay, rather than asking again and again.
// A lock that comes after the caller has given up is given back.
func wait(ctx context.Context, fd int, path string, busy error) (*Lock, error) {
	locked := make(chan error)
	go func() {
		var err error
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(fd, unix.LOCK_EX)
		}
		select {
		case locked <- err:
		case <-ctx.Done():
			unix.Close(fd)
		}
	}()
	select {
	case err := <-locked:
		if err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		return &Lock{fd}, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w (find it: fuser -v %s): %w", busy, path, ctx.Err())
	}
}
