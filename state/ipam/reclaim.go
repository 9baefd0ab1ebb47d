package ipam

import (
	"errors"
	"net/netip"
)

// looking is how a store looks for pods; the zero value does not.
type looking struct {
	look  func() (Sight, error)
	veths bool // each pod of the network has a veth, so that one without has gone
}

// Looking returns the store for a caller that can look for pods: it gives away the leases of pods
// that have gone where there are no others, and those of earlier boots. look is called when that is
// in question, with the store's lock held. veths says that whatever plugin connects pods to the
// network does so by a veth.
func (s *Store) Looking(look func() (Sight, error), veths bool) *Store {
	copied := *s
	copied.looking = looking{look, veths}
	return &copied
}

// Reclaimed returns the addresses that this store has freed because their pods have gone.
func (s *Store) Reclaimed() []netip.Addr { return s.reclaimed }

// reclaim frees the leases of a set whose pods have gone, and reports whether there was any.
func (s *Store) reclaim(set Set) (bool, error) {
	dead := s.dead(set)
	for _, l := range dead {
		freed, err := s.release(l.Owner, []netip.Addr{l.Addr})
		if s.reclaimed = append(s.reclaimed, freed...); err != nil {
			return false, err
		}
	}
	return len(dead) > 0, nil
}

// dead are the leases of a set that podnet's plugins made, that nobody holds and whose pod has
// gone. Where nothing can be seen, nothing has gone: what cannot be looked at is no reason to fail.
func (s *Store) dead(set Set) (dead []Lease) {
	if s.look == nil {
		return nil
	}
	sight, err := s.look()
	if err != nil {
		return nil
	}
	_ = s.scan(func(a netip.Addr) error {
		if set.index(a) < 0 {
			return nil
		}
		l, ok, err := s.lease(a)
		if err != nil || !ok || !l.Ours || !l.Bound && !s.veths {
			return nil
		}
		if held, err := s.isHeld(a); err != nil || held {
			return nil
		}
		if gone, err := s.Gone(l, sight); err == nil && gone {
			dead = append(dead, l)
		}
		return nil
	})
	return dead
}

// reclaimBoot frees the leases that podnet's plugins made during another boot: no pod outlives a
// boot. The boot's name alone does not say so, as a container may have one of its own: an
// attachment that has a host veth, or whose address a veth leads to, stays. What others wrote
// stays, as nothing says when. It reports whether every lease was decided on.
func (s *Store) reclaimBoot() (all bool, err error) {
	sight, err := s.look()
	if err != nil {
		return false, nil
	}
	all = true
	err = s.entries(func(key string) error {
		e, err := s.entryOf(key)
		if err != nil || !e.ours() {
			return err
		}
		old, err := s.ofOldBoot(key, e, sight)
		switch {
		case err == nil && old:
			return s.dropEntry(key, e)
		case errors.Is(err, errUnseen):
			all = false
			return nil
		}
		return err
	})
	return all, err
}

// errUnseen says that a pod may be where nobody can look.
var errUnseen = errors.New("some namespaces cannot be looked at")

// ofOldBoot reports whether nothing of an entry's attachment is there in this boot: errUnseen.
func (s *Store) ofOldBoot(key string, e entry, sight Sight) (bool, error) {
	for _, a := range e.addrs {
		o, ok, err := s.ownerOf(a)
		if err != nil {
			return false, err
		}
		if !ok || o.key() != key { // none, another's, or torn by the crash of the machine
			continue
		}
		if held, err := s.isHeld(a); err != nil || held {
			return false, err
		}
		is, sure, err := s.Absent(o, sight)
		if err == nil && is && !sure && e.writer != byBridge {
			err = errUnseen
		}
		return is && err == nil, err
	}
	there, _, err := sight.Behind(e.addrs)
	return !there && err == nil, err
}

// dropEntry removes an entry and its leases, also those that name no interface: podnet's do, and so
// the crash of the machine has kept their beginning only.
func (s *Store) dropEntry(key string, e entry) error {
	for _, a := range e.addrs {
		o, ok, err := s.ownerOf(a)
		if err != nil {
			return err
		}
		if ok && (o.IfName == "" || o.key() == key) {
			if err := remove(s.leasePath(a)); err != nil {
				return err
			}
		}
	}
	return remove(s.entryPath(key))
}
