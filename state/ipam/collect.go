package ipam

import (
	"context"
	"errors"
	"net/netip"
)

// Collect frees the leases that podnet's plugins made and whose owner is gone, and returns them. Of those that look so,
// settled leaves out what an ADD that has not made its veth yet may have. gone is asked again with the store's lock held,
// just before a lease goes. Leases of other plugins stay: nobody can tell what they are for.
func (s *Store) Collect(ctx context.Context, gone func(Owner) (bool, error), settled func([]Lease) []Lease) (freed []Lease, err error) {
	var found []Lease
	for l, bad := range s.Leases() {
		is := false
		if bad == nil && l.Ours {
			is, bad = gone(l.Owner)
		}
		if err = errors.Join(err, bad); is {
			found = append(found, l)
		}
	}
	for _, l := range settled(found) {
		is, bad := s.collect(ctx, l, gone)
		if err = errors.Join(err, bad); is {
			freed = append(freed, l)
		}
	}
	return freed, err
}

// collect looks again with the lock held: an ADD may have taken the lease up in the meantime, which renews it.
func (s *Store) collect(ctx context.Context, found Lease, gone func(Owner) (bool, error)) (freed bool, err error) {
	err = s.locked(ctx, func() error {
		l, ok, err := s.lease(found.Addr)
		if err != nil || !ok || !l.Ours || l.Owner != found.Owner || !l.Since.Equal(found.Since) {
			return err
		}
		if is, err := gone(l.Owner); err != nil || !is {
			return err
		}
		_, err = s.release(l.Owner, []netip.Addr{l.Addr})
		freed = err == nil
		return err
	})
	return freed, err
}
