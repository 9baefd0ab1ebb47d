package ipam

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// lock is a locked file, as long as it is open.
type lock struct {
	fd   int
	path string
	busy error // what it means that others have it
}

// Close gives the lock back.
func (l *lock) Close() { unix.Close(l.fd) }

// acquire takes the lock of the store in dir, the one that the reference plugin takes too. Closing
// the file gives it back. The kernel gives it back by itself if the process dies.
func acquire(ctx context.Context, dir string) (*lock, error) {
	path := filepath.Join(dir, "lock")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	l := &lock{fd, path, ErrBusy}
	switch err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err {
	case nil:
		return l, nil
	case unix.EWOULDBLOCK:
		return wait(ctx, l)
	default:
		l.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
}

// wait blocks in the kernel, which wakes waiters without delay, rather than asking again and again.
// A lock that comes after the caller has given up is given back.
func wait(ctx context.Context, f *lock) (*lock, error) {
	locked := make(chan error)
	go func() {
		var err error
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(f.fd, unix.LOCK_EX)
		}
		select {
		case locked <- err:
		case <-ctx.Done():
			f.Close()
		}
	}()
	select {
	case err := <-locked:
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.path, err)
		}
		return f, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w (find it: fuser -v %s): %w", f.busy, f.path, ctx.Err())
	}
}
