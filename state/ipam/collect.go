package ipam

import (
	"context"
	"errors"
	"net/netip"
	"time"
)

// Collect frees the leases that podnet's plugins made before a time and whose owner is gone, and returns them. gone is asked
// with the store's lock held, just before the lease goes; it is also asked without, to find what to look at. Leases of
// other plugins stay: nobody can tell what they are for.
func (s *Store) Collect(ctx context.Context, before time.Time, gone func(Owner) (bool, error)) (freed []Lease, err error) {
	for l, bad := range s.Leases() {
		if err = errors.Join(err, bad); bad != nil {
			continue
		}
		is, bad := collectable(l, before, gone)
		if is {
			is, bad = s.collect(ctx, l.Addr, before, gone)
		}
		if err = errors.Join(err, bad); is {
			freed = append(freed, l)
		}
	}
	return freed, err
}

func collectable(l Lease, before time.Time, gone func(Owner) (bool, error)) (bool, error) {
	if !l.Ours || !l.Since.Before(before) {
		return false, nil
	}
	return gone(l.Owner)
}

// collect looks again with the lock held: an ADD may have taken the lease up in the meantime.
func (s *Store) collect(ctx context.Context, a netip.Addr, before time.Time, gone func(Owner) (bool, error)) (freed bool, err error) {
	err = s.locked(ctx, func() error {
		l, ok, err := s.lease(a)
		if err != nil || !ok {
			return err
		}
		if is, err := collectable(l, before, gone); err != nil || !is {
			return err
		}
		_, err = s.release(l.Owner, []netip.Addr{a})
		freed = err == nil
		return err
	})
	return freed, err
}
