package ipam

import "context"

// Retain frees the leases of all owners but the valid ones, whoever wrote them, and returns what it
// freed. It is for a caller that knows of every owner of this network. What another process holds
// stays: it is being added, or deleted, now.
func (s *Store) Retain(ctx context.Context, valid func(Owner) bool) (freed []Lease, err error) {
	if there, err := s.exists(); err != nil || !there {
		return nil, err
	}
	err = s.locked(ctx, func() error {
		for l, err := range s.Leases() {
			if err != nil {
				return err
			}
			if valid(l.Owner) {
				continue
			}
			if held, err := s.isHeld(l.Addr); err != nil {
				return err
			} else if held {
				continue
			}
			addrs, err := s.release(l.Owner, nil)
			for _, a := range addrs {
				freed = append(freed, Lease{Addr: a, Owner: l.Owner, Ours: l.Ours, Since: l.Since})
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	return freed, err
}

// InFlight returns the owners that another process is adding or deleting now, of those that of asks
// for.
func (s *Store) InFlight(ctx context.Context, of func(Owner) bool) (owners []Owner, err error) {
	if there, err := s.exists(); err != nil || !there {
		return nil, err
	}
	err = s.locked(ctx, func() error {
		for l, err := range s.Leases() {
			held := false
			if err == nil && of(l.Owner) {
				held, err = s.isHeld(l.Addr)
			}
			if err != nil {
				return err
			}
			if held {
				owners = append(owners, l.Owner)
			}
		}
		return nil
	})
	return owners, err
}

// Room says whether each set has an address for another owner, be it that of a pod that has gone:
// ExhaustedError. It gives none.
func (s *Store) Room(ctx context.Context, sets []Set) error {
	if there, err := s.exists(); err != nil || !there {
		return err
	}
	return s.locked(ctx, func() error {
		for i, set := range sets {
			if _, err := s.chooseNext(i, set); err != nil && len(s.dead(set)) == 0 {
				return err
			}
		}
		return nil
	})
}
