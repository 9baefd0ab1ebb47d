package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/flock"
)

// ErrInFlight says that another call for the same attachment was at work for the whole time that
// the caller was ready to wait.
var ErrInFlight = errors.New("another call for this container and interface is at work")

// heldError says which lease another process holds.
type heldError struct{ addr netip.Addr }

func (e *heldError) Error() string { return e.addr.String() + " is held by another process" }

// alone runs f with the store's lock held. If f finds that another process holds a lease of the
// attachment, it waits for that one, without the store's lock, so that other attachments go on, and
// runs f again: ErrInFlight.
func (s *Store) alone(ctx context.Context, f func() error) error {
	for {
		err := s.locked(ctx, f)
		var held *heldError
		if !errors.As(err, &held) {
			return err
		}
		if err := s.awaitLease(ctx, held.addr); err != nil {
			return err
		}
	}
}

// holdAll takes hold of all leases of an attachment, or finds out that another process holds one: a
// *heldError. A store that is not Bound only looks.
func (s *Store) holdAll(addrs []netip.Addr) error {
	for _, a := range addrs {
		if err := s.hold(a); err != nil {
			return err
		}
	}
	return nil
}

// hold locks a lease for as long as this process lives, if the store is Bound; the kernel lets go
// of it when the process ends, however it does. The store's lock is held.
func (s *Store) hold(a netip.Addr) error {
	if _, mine := s.own[a]; mine {
		return nil
	}
	fd, err := s.lockLease(a, unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case err != nil:
		return err
	case fd < 0:
		return &heldError{a}
	case !s.bound():
		return unix.Close(fd)
	}
	s.own[a] = fd
	return nil
}

// isHeld reports whether another process holds the lease. The store's lock is held.
func (s *Store) isHeld(a netip.Addr) (bool, error) {
	if _, mine := s.own[a]; mine {
		return false, nil
	}
	fd, err := s.lockLease(a, unix.LOCK_EX|unix.LOCK_NB)
	if fd >= 0 {
		unix.Close(fd)
	}
	return err == nil && fd < 0, err
}

// letGo gives up the hold of a lease that has gone.
func (s *Store) letGo(a netip.Addr) {
	if fd, mine := s.own[a]; mine {
		unix.Close(fd)
		delete(s.own, a)
	}
}

// lockLease opens a lease and locks it without waiting; below 0: another process has it locked.
func (s *Store) lockLease(a netip.Addr, how int) (fd int, err error) {
	fd, err = unix.Open(s.leasePath(a), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Flock(fd, how)
	}
	if err == nil {
		return fd, nil
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	if err == unix.EWOULDBLOCK {
		return -1, nil
	}
	return -1, fmt.Errorf("lock lease %s: %w", s.leasePath(a), err)
}

// awaitLease returns when the process that holds a lease has let go of it, or the lease has gone.
func (s *Store) awaitLease(ctx context.Context, a netip.Addr) error {
	path := s.leasePath(a)
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == unix.ENOENT {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open lease %s: %w", path, err)
	}
	l, err := flock.Take(ctx, fd, path, ErrInFlight)
	if err == nil {
		l.Close()
	}
	return err
}
