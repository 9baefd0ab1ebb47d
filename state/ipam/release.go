package ipam

import (
	"context"
	"errors"
	"net/netip"
	"slices"
)

// Release frees the addresses of an owner, or only those named. One that has none is no error. It returns what it freed.
func (s *Store) Release(ctx context.Context, o Owner, only ...netip.Addr) ([]netip.Addr, error) {
	if there, err := s.exists(); err != nil || !there {
		return nil, err
	}
	var freed []netip.Addr
	err := s.locked(ctx, func() (err error) {
		freed, err = s.release(o, only)
		return err
	})
	return freed, err
}

// release is Release with the lock held.
func (s *Store) release(o Owner, only []netip.Addr) (freed []netip.Addr, err error) {
	o, e, err := s.heldAnyhow(o)
	if err != nil {
		return nil, err
	}
	var keep []netip.Addr
	for _, a := range e.addrs {
		if len(only) > 0 && !slices.Contains(only, a) {
			keep = append(keep, a)
			continue
		}
		if err := s.dropLease(a, o); err != nil {
			return freed, err
		}
		freed = append(freed, a)
	}
	return freed, s.putEntry(o.key(), entry{e.writer, keep, e.pod})
}

// Lookup returns the addresses of an owner, none if it has none.
func (s *Store) Lookup(ctx context.Context, o Owner) ([]netip.Addr, error) {
	if there, err := s.exists(); err != nil || !there {
		return nil, err
	}
	var addrs []netip.Addr
	err := s.locked(ctx, func() error {
		_, e, err := s.heldAnyhow(o)
		addrs = e.addrs
		return err
	})
	return addrs, err
}

// heldAnyhow is what an owner has under its name or, having nothing there, under the one that very old plugins wrote.
func (s *Store) heldAnyhow(o Owner) (Owner, entry, error) {
	e, err := s.held(o)
	if err != nil || len(e.addrs) > 0 {
		return o, e, err
	}
	old, err := s.held(o.legacy())
	if len(old.addrs) > 0 {
		return o.legacy(), old, errors.Join(err)
	}
	return o, e, err
}
