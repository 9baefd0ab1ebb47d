package ipam

import (
	"errors"
	"io"
	"iter"
	"net/netip"
	"os"
	"time"
)

// Lease is one address and who has it.
type Lease struct {
	Addr  netip.Addr
	Owner Owner
	Ours  bool      // podnet's plugins wrote it
	Bound bool      // the bridge plugin did, see Bound
	Since time.Time // when the lease was made
	Pod   string    // as the runtime calls it, such as default/web; "": it did not say
}

// chunk bounds the memory that looking takes.
const chunk = 1024

// Leases yields every lease, in no order, as they are at the moment that each is read: it takes no
// lock, so that looking never holds up a pod. A store that does not exist has none.
func (s *Store) Leases() iter.Seq2[Lease, error] {
	return func(yield func(Lease, error) bool) {
		d, err := os.Open(s.dir)
		if isAbsent(err) {
			return
		}
		if err != nil {
			yield(Lease{}, err)
			return
		}
		defer d.Close()
		for {
			names, err := d.Readdirnames(chunk)
			if !s.yieldLeases(names, yield) || err == io.EOF {
				return
			}
			if err != nil {
				yield(Lease{}, err)
				return
			}
		}
	}
}

func (s *Store) yieldLeases(names []string, yield func(Lease, error) bool) bool {
	for _, name := range names {
		a, err := netip.ParseAddr(name)
		if err != nil {
			continue
		}
		l, ok, err := s.lease(a)
		if (ok || err != nil) && !yield(l, err) {
			return false
		}
	}
	return true
}

// lease reads one lease; false if it has gone in the meantime.
func (s *Store) lease(a netip.Addr) (Lease, bool, error) {
	o, ok, err := s.ownerOf(a)
	if err != nil || !ok {
		return Lease{}, false, err
	}
	info, err := os.Stat(s.leasePath(a))
	if errors.Is(err, os.ErrNotExist) {
		return Lease{}, false, nil
	}
	if err != nil {
		return Lease{}, false, err
	}
	e, err := s.entryOf(o.key())
	return Lease{a, o, e.ours(), e.writer == byBridge, info.ModTime(), e.pod}, true, err
}
