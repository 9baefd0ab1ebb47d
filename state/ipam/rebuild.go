package ipam

import (
	"net/netip"
	"os"
	"slices"
)

// rebuild reads all leases and makes the index agree with them: owners it did not know are added,
// entries without a lease go, and so do lease files without an owner, which a plugin left that was
// killed between making and writing them. What is no file stays, and keeps its address from being
// given.
func (s *Store) rebuild() error {
	found := map[Owner][]netip.Addr{}
	err := s.scan(func(a netip.Addr) error {
		o, ok, err := s.ownerOf(a)
		if err != nil {
			return err
		}
		if !ok {
			if is, err := s.isFile(a); err != nil || !is {
				return err
			}
			return remove(s.leasePath(a))
		}
		found[o] = append(found[o], a)
		return nil
	})
	if err != nil {
		return err
	}
	known := make(map[string]bool, len(found))
	for o, addrs := range found {
		known[o.key()] = true
		if err := s.refresh(o, addrs); err != nil {
			return err
		}
	}
	return s.entries(func(key string) error {
		if known[key] {
			return nil
		}
		return remove(s.entryPath(key))
	})
}

// refresh sets the addresses of an owner's entry and leaves its writer.
func (s *Store) refresh(o Owner, addrs []netip.Addr) error {
	e, err := s.entryOf(o.key())
	if err != nil {
		return err
	}
	missing := slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !slices.Contains(e.addrs, a) })
	if !missing && len(addrs) == len(e.addrs) {
		return nil
	}
	if e.writer == "" || missing {
		e.writer = byOther
	}
	e.addrs = addrs
	return s.putEntry(o.key(), e)
}

// scan calls f for every address that has a file in the directory.
func (s *Store) scan(f func(netip.Addr) error) error {
	return names(s.dir, func(name string) error {
		if a, err := netip.ParseAddr(name); err == nil {
			return f(a)
		}
		return nil
	})
}

// entries calls f for the key of every index entry.
func (s *Store) entries(f func(key string) error) error { return names(s.ownersPath(), f) }

func names(dir string, f func(string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	all, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range all {
		if err := f(name); err != nil {
			return err
		}
	}
	return nil
}
