package ipam

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	ownDir    = ".podnet"
	ownersDir = "owners"
)

// entry is what the index knows of an owner. It lives in the target of a symbolic link: made and
// read by one system call, whole or not there, and a plugin that walks through the directory finds
// that the link leads nowhere and goes on.
type entry struct {
	writer string
	addrs  []netip.Addr
	pod    string  // as the runtime calls it; "": unknown
	mac    [6]byte // of the pod's interface; zero: unknown
}

// Words of an entry that are no addresses begin with these.
const (
	podWord = "pod="
	macWord = "mac="
)

// Writers of leases. Only what podnet wrote may ever be taken away without being asked.
const (
	byPodnet = "podnet"        // host-local, for whichever plugin has called it
	byBridge = "podnet-bridge" // the bridge plugin itself
	byOther  = "other"         // found in the directory: the reference plugin's, most likely
)

func (e entry) ours() bool { return e.writer == byPodnet || e.writer == byBridge }

func (e entry) target() string {
	words := []string{e.writer}
	for _, a := range e.addrs {
		words = append(words, a.String())
	}
	if e.pod != "" {
		words = append(words, podWord+e.pod)
	}
	if e.mac != [6]byte{} {
		words = append(words, macWord+net.HardwareAddr(e.mac[:]).String())
	}
	return strings.Join(words, " ")
}

// parseEntry takes words it does not know for no address: the entry is a hint.
func parseEntry(target string) entry {
	words := strings.Fields(target)
	if len(words) == 0 {
		return entry{}
	}
	e := entry{writer: words[0]}
	for _, w := range words[1:] {
		if pod, is := strings.CutPrefix(w, podWord); is {
			e.pod = pod
		} else if mac, is := strings.CutPrefix(w, macWord); is {
			if b, err := net.ParseMAC(mac); err == nil && len(b) == len(e.mac) {
				e.mac = [6]byte(b)
			}
		} else if a, err := netip.ParseAddr(w); err == nil {
			e.addrs = append(e.addrs, a)
		}
	}
	return e
}

func (s *Store) ownersPath() string { return filepath.Join(s.dir, ownDir, ownersDir) }

func (s *Store) entryPath(key string) string { return filepath.Join(s.ownersPath(), key) }

// entryOf reads an owner's entry; one without addresses if there is none.
func (s *Store) entryOf(key string) (entry, error) {
	target, err := os.Readlink(s.entryPath(key))
	if errors.Is(err, fs.ErrNotExist) {
		return entry{}, nil
	}
	return parseEntry(target), err
}

// putEntry replaces an owner's entry; one without addresses goes.
func (s *Store) putEntry(key string, e entry) error {
	path := s.entryPath(key)
	if len(e.addrs) == 0 {
		return remove(path)
	}
	err := os.Symlink(e.target(), path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	scratch := filepath.Join(s.dir, ownDir, "scratch-entry")
	if err := remove(scratch); err != nil {
		return err
	}
	if err := os.Symlink(e.target(), scratch); err != nil {
		return err
	}
	return os.Rename(scratch, path)
}

// Given returns what an owner has: the addresses that it has leases of, and the MAC address that the
// bridge plugin gave its interface; zero if no plugin has left it. It takes no lock.
func (s *Store) Given(o Owner) ([]netip.Addr, [6]byte, error) {
	e, err := s.held(o)
	return e.addrs, e.mac, err
}

// held is what an owner has a lease of, by its index entry and checked against the leases.
func (s *Store) held(o Owner) (entry, error) {
	e, err := s.entryOf(o.key())
	if err != nil {
		return e, err
	}
	var wrong error
	e.addrs = slices.DeleteFunc(e.addrs, func(a netip.Addr) bool {
		have, ok, err := s.ownerOf(a)
		wrong = errors.Join(wrong, err)
		return !ok || have != o
	})
	return e, wrong
}
