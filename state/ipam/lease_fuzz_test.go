package ipam

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzLease finds any file where a lease belongs, and any target in the index: what is no lease is
// free again, what is one stays its owner's, and the pool gives the rest.
func FuzzLease(f *testing.F) {
	for _, content := range []string{"", "c1\r\neth0", "c1", "c1\r\neth0\n", "c1\r\n", "\r\neth0", "\x00\x00\x00\x00", " c1 \r\n eth0 ", "c\x001\r\neth0"} {
		f.Add(content, "podnet 10.0.0.2")
	}
	f.Add("c1\r\neth0", "other 10.0.0.3 fd00::1 nonsense")
	f.Fuzz(func(t *testing.T, content, target string) {
		s := open(t, t.TempDir())
		sets := []Set{set(t, "10.0.0.0/30")} // 10.0.0.2 alone
		if err := os.MkdirAll(s.ownersPath(), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, s, "10.0.0.2", content)
		// A target that a symbolic link cannot hold is none that a store could find.
		_ = os.Symlink(target, s.entryPath(owner(1).key()))
		got := reserve(s, owner(7), sets)
		o, whole := parseOwner(content)
		switch {
		case !whole && got != "10.0.0.2/30":
			t.Errorf("%q is no lease, and not free: %s", content, got)
		case whole && o != owner(7) && !strings.Contains(got, "no IP addresses available"):
			t.Errorf("%q is a lease of %v, and given away: %s", content, o, got)
		}
		if have, ok, err := s.ownerOf(netip.MustParseAddr("10.0.0.2")); err != nil || !ok {
			t.Errorf("nobody has the address: %v %v", have, err)
		}
	})
}

// FuzzRecord finds anything for a record: the store goes on with the leases that are there.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{"", "{", `{"version":1,"bootID":"x"}`, `{"version":2,"bootID":"x"}`, `{"version":1}`, "null", "\x00\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := open(t, t.TempDir()).Looking(pods{}.look, false)
		sets := []Set{set(t, "10.0.0.0/29")}
		reserve(s, owner(1), sets)
		if err := os.WriteFile(filepath.Join(s.dir, ownDir, "record"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := s.readRecord()
		if err != nil {
			t.Fatal(err)
		}
		want := "10.0.0.2/29" // as nothing says that it is another boot's
		if r.BootID != "" && r.BootID != s.bootID {
			want = "10.0.0.3/29"
		}
		check(t, reserve(s, owner(1), sets), want)
	})
}
