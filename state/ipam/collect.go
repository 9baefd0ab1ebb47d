package ipam

import (
	"context"
	"errors"
	"net/netip"
)

// Collect frees the leases that podnet's plugins made and whose owner is gone, and returns them.
// Those that an ADD is still holding stay, see Bound, and so do those of other plugins: nobody can
// tell what they are for. gone is asked with the store's lock held, just before the lease goes; it
// is also asked without, to find what to look at.
func (s *Store) Collect(ctx context.Context, gone func(Lease) (bool, error)) (freed []Lease, err error) {
	for l, bad := range s.Leases() {
		is := false
		if bad == nil && l.Ours {
			is, bad = gone(l)
		}
		if is {
			is, bad = s.collect(ctx, l.Addr, gone)
		}
		if err = errors.Join(err, bad); is {
			freed = append(freed, l)
		}
	}
	return freed, err
}

// collect looks again with the lock held, which keeps an ADD from taking the lease up meanwhile.
// First whether one is holding it: when that ends the pod has its veth, and is not gone.
func (s *Store) collect(ctx context.Context, a netip.Addr, gone func(Lease) (bool, error)) (freed bool, err error) {
	err = s.locked(ctx, func() error {
		l, ok, err := s.lease(a)
		if err != nil || !ok || !l.Ours {
			return err
		}
		if held, err := s.isHeld(a); err != nil || held {
			return err
		}
		if is, err := gone(l); err != nil || !is {
			return err
		}
		_, err = s.release(l.Owner, []netip.Addr{a})
		freed = err == nil
		return err
	})
	return freed, err
}
