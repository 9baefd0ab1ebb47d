package ipam

import (
	"context"
	"errors"
	"net/netip"
	"slices"
)

// Release frees the addresses of an owner, or only those named. One that has none is no error. It
// returns what it freed. While another process holds what the owner has, it waits: see Bound.
func (s *Store) Release(ctx context.Context, o Owner, only ...netip.Addr) ([]netip.Addr, error) {
	if there, err := s.exists(); err != nil || !there {
		return nil, err
	}
	var freed []netip.Addr
	err := s.alone(ctx, func() error {
		o, e, err := s.claim(o)
		if err == nil {
			freed, err = s.drop(o, e, only)
		}
		return err
	})
	return freed, err
}

// release is Release with the lock held, whoever holds the leases.
func (s *Store) release(o Owner, only []netip.Addr) ([]netip.Addr, error) {
	o, e, err := s.heldAnyhow(o)
	if err != nil {
		return nil, err
	}
	return s.drop(o, e, only)
}

// drop frees what an owner has, or only those named.
func (s *Store) drop(o Owner, e entry, only []netip.Addr) (freed []netip.Addr, err error) {
	var keep []netip.Addr
	for _, a := range e.addrs {
		if len(only) > 0 && !slices.Contains(only, a) {
			keep = append(keep, a)
			continue
		}
		if err := s.dropLease(a, o); err != nil {
			return freed, err
		}
		s.letGo(a)
		freed = append(freed, a)
	}
	e.addrs = keep
	return freed, s.putEntry(o.key(), e)
}

// Claim returns the addresses of an owner as Lookup does, and holds them, for a caller that is
// about to take them away.
func (s *Store) Claim(ctx context.Context, o Owner) ([]netip.Addr, error) {
	if there, err := s.exists(); err != nil || !there {
		return nil, err
	}
	var addrs []netip.Addr
	err := s.alone(ctx, func() error {
		_, e, err := s.claim(o)
		addrs = e.addrs
		return err
	})
	return addrs, err
}

// claim is what an owner has, which no other process holds now.
func (s *Store) claim(o Owner) (Owner, entry, error) {
	o, e, err := s.heldAnyhow(o)
	if err == nil {
		err = s.holdAll(e.addrs)
	}
	return o, e, err
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

// heldAnyhow is what an owner has under its name or, having nothing there, under the one that very
// old plugins wrote.
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
