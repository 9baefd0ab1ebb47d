package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPause is how long whoever waits for the lock lets go by before trying again.
const lockPause = 50 * time.Millisecond

// HeldError says that a lock could not be had, because another process kept it for too long.
type HeldError struct {
	By  LockHolder
	Err error // why the wait ended
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s holds %s: %s (%v)", e.By, e.By.Path, e.By.Remedy(), e.Err)
}

func (e *HeldError) Unwrap() error { return e.Err }

// Lock takes the node's lock for a pass. It waits for whoever has it until ctx ends, and is then a
// *HeldError. While it waits it calls waiting, which may be nil. The lock goes with the process,
// and with the returned function.
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
			return nil, &HeldError{FindLockHolder(path), ctx.Err()}
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
