package ipam

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// What has the name of an address and is no file stays where it is, keeps its address from being
// given, and nobody waits for it.
func TestNoFile(t *testing.T) {
	ctx := context.Background()
	for name, place := range map[string]func(string) error{
		"directory":       func(path string) error { return os.Mkdir(path, 0o755) },
		"link to nowhere": func(path string) error { return os.Symlink("nowhere", path) },
		"pipe":            func(path string) error { return unix.Mkfifo(path, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			sets := []Set{set(t, "10.0.0.0/29")}
			check(t, reserve(s, owner(1), sets), "10.0.0.2/29")
			odd := filepath.Join(s.dir, "10.0.0.3")
			if err := place(odd); err != nil {
				t.Fatal(err)
			}
			check(t, reserve(s, owner(2), sets), "10.0.0.4/29")
			if err := reserve(s, owner(3), sets, netip.MustParseAddr("10.0.0.3")); !strings.Contains(err, odd+" is in the way") {
				t.Error(err)
			}
			check(t, fmt.Sprint(leases(t, s)), "map[10.0.0.2:c1,true 10.0.0.4:c2,true]")
			_, err := s.Release(ctx, owner(1))
			_, err2 := s.Retain(ctx, func(Owner) bool { return false })
			check(t, fmt.Sprint(err, err2, len(leases(t, s))), "<nil> <nil> 0")
			if _, err := os.Lstat(odd); err != nil {
				t.Error(err)
			}
		})
	}
}

// A store that cannot be looked at is not one that has no lease.
func TestUnreadable(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir() + "/net"
	if err := os.Symlink("net", dir); err != nil { // to itself
		t.Fatal(err)
	}
	s := open(t, dir)
	for name, f := range map[string]func() error{
		"Release": func() error { _, err := s.Release(ctx, owner(1)); return err },
		"Lookup":  func() error { _, err := s.Lookup(ctx, owner(1)); return err },
		"Retain":  func() error { _, err := s.Retain(ctx, func(Owner) bool { return false }); return err },
		"Room":    func() error { return s.Room(ctx, []Set{set(t, "10.0.0.0/29")}) },
		"Collect": func() error { _, err := s.Collect(ctx, func(Lease) (bool, error) { return true, nil }); return err },
	} {
		if err := f(); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One that a file is in the place of was never made.
	if err := os.WriteFile(dir+".txt", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	none := open(t, dir+".txt/net")
	_, err := none.Release(ctx, owner(1))
	check(t, fmt.Sprint(err, leases(t, none)), "<nil> map[]")
}
