package ipam

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"

	"golang.org/x/sys/unix"
)

func (s *Store) leasePath(a netip.Addr) string { return filepath.Join(s.dir, a.String()) }

// leased says whether an address has a lease, whoever's, or anything else that keeps a lease from
// being made.
func (s *Store) leased(a netip.Addr) (bool, error) {
	switch err := unix.Lstat(s.leasePath(a), new(unix.Stat_t)); err {
	case nil:
		return true, nil
	case unix.ENOENT:
		return false, nil
	default:
		return false, fmt.Errorf("lease %s: %w", s.leasePath(a), err)
	}
}

// ownerOf reads a lease; false if there is none, or none with an owner, as where a directory has
// its name.
func (s *Store) ownerOf(a netip.Addr) (Owner, bool, error) {
	content, err := readFile(s.leasePath(a))
	if errors.Is(err, fs.ErrNotExist) {
		return Owner{}, false, nil
	}
	if err != nil {
		if is, err := s.isFile(a); err == nil && !is {
			return Owner{}, false, nil
		}
		return Owner{}, false, err
	}
	o, ok := parseOwner(string(content))
	return o, ok, nil
}

// isFile says whether what has the name of an address's lease can be one.
func (s *Store) isFile(a netip.Addr) (bool, error) {
	var st unix.Stat_t
	if err := unix.Lstat(s.leasePath(a), &st); err != nil && err != unix.ENOENT {
		return false, fmt.Errorf("lease %s: %w", s.leasePath(a), err)
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG, nil
}

// Holds says whether the owner has the lease of an address right now. It takes no lock.
func (s *Store) Holds(o Owner, a netip.Addr) (bool, error) {
	have, ok, err := s.ownerOf(a)
	return ok && have == o, err
}

// addLease makes a lease that exists whole or not at all: the file gets its name when its content
// is written. It is not synced: a lease is worth nothing after the crash of the machine, as no pod
// outlives that.
func (s *Store) addLease(a netip.Addr, o Owner) error {
	scratch, err := s.scratch(o.content())
	if err != nil {
		return err
	}
	return place(scratch, s.leasePath(a))
}

// renew makes an old lease look new: its container is being added again, and Since says so.
func (s *Store) renew(a netip.Addr) error {
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, s.leasePath(a), nil, 0); err != nil {
		return fmt.Errorf("renew lease %s: %w", s.leasePath(a), err)
	}
	return nil
}

// dropLease removes a lease if it is o's; it is no error if it is not, or is gone.
func (s *Store) dropLease(a netip.Addr, o Owner) error {
	have, ok, err := s.ownerOf(a)
	if err != nil || !ok || have != o {
		return err
	}
	return remove(s.leasePath(a))
}

// scratch writes a file under a name that nobody looks at, to be linked or renamed into place. The
// name is the same each time, as the lock is held. It is always a new file: what a killed process
// left there may be linked into place already.
func (s *Store) scratch(content string) (string, error) {
	path := filepath.Join(s.dir, ownDir, "scratch")
	err := writeNew(path, content)
	if !errors.Is(err, fs.ErrExist) {
		return path, err
	}
	if err := remove(path); err != nil {
		return "", err
	}
	return path, writeNew(path, content)
}
