package ipam

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"
)

// Store is the leases of one network on this node. Its methods may be called by any number of
// processes at once. Each takes the store's lock and waits for it until its context ends: ErrBusy.
type Store struct {
	dir    string
	bootID string  // "" if it cannot be read
	pod    string  // see Named
	mac    [6]byte // see Sending

	own map[netip.Addr]int // the leases that this process holds, and the open files that do so; nil: it is not Bound

	looking
	reclaimed []netip.Addr // see Reclaimed
}

// Open opens the store in dir. One that does not exist has no leases; Reserve makes it.
func Open(dir string) (*Store, error) { return &Store{dir: dir, bootID: bootID()}, nil }

// Named is the store with the runtime's name for the pod that it is about to reserve for. The name
// is kept with the index entry, for people to read: one that would not fit there, or has a blank in
// it, is left out.
func (s *Store) Named(pod string) *Store {
	const longest = 512 // bytes; a namespace and a name of Kubernetes are 317
	named := *s
	if len(pod) <= longest &&
		!strings.ContainsFunc(pod, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		named.pod = pod
	}
	return &named
}

// Sending is the store with the MAC address of the interface that the pod which it is about to
// reserve for gets. It is kept with the index entry, so that podnetd knows by what the pod may send.
func (s *Store) Sending(mac [6]byte) *Store {
	sending := *s
	sending.mac = mac
	return &sending
}

// Bound is the store for the bridge plugin, which makes or deletes the pod's veth itself before its
// process ends. Until then the process holds what it reserves or claims: no other process reserves,
// claims or frees anything of the same attachment, and Collect can tell a pod that is being added
// from one whose ADD was killed.
func (s *Store) Bound() *Store {
	bound := *s
	bound.own = map[netip.Addr]int{}
	return &bound
}

func (s *Store) bound() bool { return s.own != nil }

func (s *Store) writer() string {
	if s.bound() {
		return byBridge
	}
	return byPodnet
}

// BootKnown says whether this boot of the machine can be told from others. If it cannot, leases of
// earlier boots stay.
func (s *Store) BootKnown() bool { return s.bootID != "" }

// locked runs f with the lock held and the index complete.
func (s *Store) locked(ctx context.Context, f func() error) error {
	lock, err := acquire(ctx, s.dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := s.settle(); err != nil {
		return err
	}
	return errors.Join(f(), s.stamp())
}

// settle makes sure that the index names every lease of the directory: by one look at the record
// and the stamp, unless somebody else has been here or the machine has started anew.
func (s *Store) settle() error {
	r, err := s.readRecord()
	if err != nil {
		return err
	}
	other := r.BootID != "" && s.bootID != "" && r.BootID != s.bootID
	if r == (storeStamp{recordVersion, s.bootID}) || other && s.look == nil { // whoever looks for pods decides on other boots
		return s.complete()
	}
	if err := os.MkdirAll(s.ownersPath(), 0o700); err != nil {
		return err
	}
	if other {
		if all, err := s.reclaimBoot(); err != nil || !all {
			return errors.Join(err, s.complete())
		}
	}
	if err := s.rebuild(); err != nil {
		return err
	}
	return s.writeRecord(storeStamp{recordVersion, s.bootID})
}

// complete reads the directory if somebody else has been here.
func (s *Store) complete() error {
	stamped, err := s.stamped()
	if err != nil || stamped {
		return err
	}
	return s.rebuild()
}

// exists says whether the store was ever made. That nobody can tell is an error: a lease that is
// there must not be taken for released.
func (s *Store) exists() (bool, error) {
	_, err := os.Stat(s.dir)
	if isAbsent(err) {
		return false, nil
	}
	return err == nil, err
}

// isAbsent says whether an error is that there is no such thing, nor can be.
func isAbsent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) }

// create makes the directory; what is in it is made under the lock.
func (s *Store) create() error { return os.MkdirAll(filepath.Clean(s.dir), 0o755) }
