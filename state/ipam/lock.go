package ipam

import (
	"context"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/flock"
)

// acquire takes the lock of the store in dir, the one that the reference plugin takes too.
func acquire(ctx context.Context, dir string) (*flock.Lock, error) {
	path := filepath.Join(dir, "lock")
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return flock.Take(ctx, fd, path, ErrBusy)
}
