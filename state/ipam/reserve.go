package ipam

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
)

// Grant is an address that an owner has.
type Grant struct {
	Addr    netip.Prefix // with the length of its subnet
	Gateway netip.Addr
	Fresh   bool // this call gave it; otherwise the owner had it already
}

// Reserve gives the owner one address of each set, in the order of the sets: the one it has, one of
// wanted, or the next free one after that which was given last; if all have a lease, those of pods
// that have gone are free, see Looking. It gives all or none. Every address of wanted must be used.
// While another process holds what the owner has, it waits: see Bound.
func (s *Store) Reserve(ctx context.Context, o Owner, sets []Set, wanted ...netip.Addr) ([]Grant, error) {
	if err := s.create(); err != nil {
		return nil, err
	}
	var grants []Grant
	err := s.alone(ctx, func() (err error) {
		grants, err = s.reserve(o, sets, wanted)
		return err
	})
	return grants, err
}

func (s *Store) reserve(o Owner, sets []Set, wanted []netip.Addr) ([]Grant, error) {
	hint, err := s.entryOf(o.key())
	if err != nil {
		return nil, err
	}
	have, err := s.held(o)
	if err != nil {
		return nil, err
	}
	if err := s.holdAll(have.addrs); err != nil {
		return nil, err
	}
	wanted = slices.Clone(wanted)
	var grants []Grant
	for i, set := range sets {
		want := take(&wanted, set)
		g, err := s.choose(i, set, want, have.addrs, hint.addrs)
		if err != nil {
			return nil, err
		}
		grants = append(grants, g)
	}
	if len(wanted) > 0 {
		return nil, &UnavailableError{wanted[0],
			"it is in none of the ranges, or another address of its range set was requested too"}
	}
	return grants, s.commit(o, have, grants)
}

// take removes the first address of wanted that is in the set.
func take(wanted *[]netip.Addr, set Set) netip.Addr {
	i := slices.IndexFunc(*wanted, func(a netip.Addr) bool { return set.index(a) >= 0 })
	if i < 0 {
		return netip.Addr{}
	}
	a := (*wanted)[i]
	*wanted = slices.Delete(*wanted, i, i+1)
	return a
}

// choose picks the address of one set and changes nothing. hint holds what an interrupted call
// meant to give.
func (s *Store) choose(i int, set Set, want netip.Addr, have, hint []netip.Addr) (Grant, error) {
	for _, a := range have {
		if r, ok := set.Find(a); ok {
			if want.IsValid() && want != a {
				return Grant{}, &UnavailableError{want, fmt.Sprintf("this container has %s already: DEL it first", a)}
			}
			return grant(a, r, false), nil
		}
	}
	if want.IsValid() {
		return s.chooseWanted(set, want)
	}
	for _, a := range hint {
		if r, ok := set.Find(a); ok && r.assignable(a) {
			if taken, err := s.leased(a); err != nil || !taken {
				return grant(a, r, true), err
			}
		}
	}
	return s.chooseFree(i, set)
}

// only is the range that has nothing but one address of another.
func only(r Range, a netip.Addr) Range { return Range{r.Subnet, a, a, r.Gateway} }

// chooseFree chooses an address that is free, or that is when the leases of pods that have gone
// are.
func (s *Store) chooseFree(i int, set Set) (Grant, error) {
	g, err := s.chooseNext(i, set)
	if !errors.As(err, new(*ExhaustedError)) {
		return g, err
	}
	if some, failed := s.reclaim(set); failed != nil || !some {
		return g, errors.Join(failed, err)
	}
	return s.chooseNext(i, set)
}

func (s *Store) chooseWanted(set Set, want netip.Addr) (Grant, error) {
	r, _ := set.Find(want)
	switch {
	case want == r.Gateway:
		return Grant{}, &UnavailableError{want, "it is the subnet's gateway"}
	case !r.assignable(want):
		return Grant{}, &UnavailableError{want, "it is the address of the network " + r.Subnet.String() + " itself"}
	}
	taken, err := s.leased(want)
	if err == nil && taken {
		if _, err = s.reclaim(Set{only(r, want)}); err == nil {
			taken, err = s.leased(want)
		}
	}
	if err != nil {
		return Grant{}, err
	}
	if taken {
		o, ok, _ := s.ownerOf(want) // only for the message
		if !ok {
			return Grant{},
				&UnavailableError{want, fmt.Sprintf("%s is in the way and is no lease: remove it", s.leasePath(want))}
		}
		return Grant{}, &UnavailableError{want, fmt.Sprintf("container %s (%s) has it", o.ContainerID, o.IfName)}
	}
	return grant(want, r, true), nil
}

// probes is how many addresses are tried one by one before the directory is read, once: enough for
// the gaps that pods leave, and a bound for a range that is nearly full.
const probes = 64

func (s *Store) chooseNext(i int, set Set) (Grant, error) {
	var used map[netip.Addr]bool
	tried := 0
	for a, r := range set.candidates(s.previous(i)) {
		var taken bool
		var err error
		switch {
		case used != nil:
			taken = used[a]
		case tried < probes:
			taken, err = s.leased(a)
		default:
			used, err = s.used()
			taken = used[a]
		}
		if err != nil || !taken {
			return grant(a, r, true), err
		}
		tried++
	}
	return Grant{}, &ExhaustedError{i, set, tried}
}

func (s *Store) used() (map[netip.Addr]bool, error) {
	used := map[netip.Addr]bool{}
	return used, s.scan(func(a netip.Addr) error { used[a] = true; return nil })
}

func grant(a netip.Addr, r Range, fresh bool) Grant {
	return Grant{netip.PrefixFrom(a, r.Subnet.Bits()), r.Gateway, fresh}
}

// commit writes the index entry, then the leases, then what was given last.
func (s *Store) commit(o Owner, have entry, grants []Grant) error {
	e := entry{s.writer(), slices.Clone(have.addrs), s.pod, s.mac}
	unbinds := have.writer == byBridge && !s.bound()
	if len(have.addrs) > 0 && !unbinds {
		e.writer = have.writer
	}
	for _, g := range grants {
		if g.Fresh {
			e.addrs = append(e.addrs, g.Addr.Addr())
		}
	}
	if len(e.addrs) > len(have.addrs) || unbinds || e.mac != have.mac {
		if err := s.putEntry(o.key(), e); err != nil {
			return err
		}
	}
	for i, g := range grants {
		if err := s.give(i, g, o); err != nil {
			return errors.Join(fmt.Errorf("lease %s: %w", g.Addr.Addr(), err), s.undo(o, have, grants[:i+1]))
		}
	}
	return nil
}

// give makes the lease of set i's grant, or renews it.
func (s *Store) give(i int, g Grant, o Owner) error {
	a := g.Addr.Addr()
	if !g.Fresh {
		return s.renew(a)
	}
	if err := s.addLease(a, o); err != nil {
		return err
	}
	if err := s.setPrevious(i, a); err != nil || !s.bound() {
		return err
	}
	return s.hold(a)
}

// undo takes back what a failed commit gave.
func (s *Store) undo(o Owner, have entry, grants []Grant) error {
	var errs error
	for _, g := range grants {
		if g.Fresh {
			errs = errors.Join(errs, s.dropLease(g.Addr.Addr(), o))
		}
	}
	return errors.Join(errs, s.putEntry(o.key(), have))
}

func (s *Store) previousPath(i int) string {
	return filepath.Join(s.dir, "last_reserved_ip."+strconv.Itoa(i))
}

// previous is the address that set i gave last; none if that is not known, which only costs the
// order.
func (s *Store) previous(i int) netip.Addr {
	text, err := readFile(s.previousPath(i))
	if err != nil {
		return netip.Addr{}
	}
	a, _ := netip.ParseAddr(string(text))
	return a.Unmap()
}

// setPrevious writes in place: a number that is torn only costs the order, and a new file each time
// is what an ext4 that has just freed the old one is slow at.
func (s *Store) setPrevious(i int, a netip.Addr) error {
	return overwrite(s.previousPath(i), a.String())
}
