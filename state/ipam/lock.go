package ipam

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// acquire takes the lock of the store in dir, the one that the reference plugin takes too. Closing the file gives it back.
// The kernel gives it back by itself if the process dies.
func acquire(ctx context.Context, dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDONLY|os.O_CREATE|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	switch err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err {
	case nil:
		return f, nil
	case unix.EWOULDBLOCK:
		return wait(ctx, f)
	default:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
}

// wait blocks in the kernel, which wakes waiters without delay, rather than asking again and again. A lock that comes
// after the caller has given up is given back.
func wait(ctx context.Context, f *os.File) (*os.File, error) {
	locked := make(chan error)
	go func() {
		var err error
		for err = unix.EINTR; err == unix.EINTR; {
			err = unix.Flock(int(f.Fd()), unix.LOCK_EX)
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
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return f, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w (find it: fuser -v %s): %w", ErrBusy, f.Name(), ctx.Err())
	}
}
