package ipam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func owner(n int) Owner { return Owner{fmt.Sprintf("c%d", n), "eth0"} }

// reserve returns the addresses that the owner got, or the error.
func reserve(s *Store, o Owner, sets []Set, wanted ...netip.Addr) string {
	grants, err := s.Reserve(context.Background(), o, sets, wanted...)
	if err != nil {
		return err.Error()
	}
	var text []string
	for _, g := range grants {
		text = append(text, g.Addr.String())
	}
	return strings.Join(text, " ")
}

func check(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// dump is the whole directory as text, apart from what changes from run to run.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(s.dir, path)
		var content []byte
		if d.Type() == fs.ModeSymlink {
			var target string
			target, err = os.Readlink(path)
			content = []byte("-> " + target)
		} else {
			content, err = os.ReadFile(path)
		}
		text := strings.ReplaceAll(string(content), s.bootID, "BOOT")
		fmt.Fprintf(&b, "%s %q\n", name, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestLayout(t *testing.T) {
	s := open(t, t.TempDir()+"/net/work")
	sets := []Set{set(t, "10.0.0.0/24"), set(t, "fd00::/64")}
	check(t, reserve(s, Owner{"c1", "eth0"}, sets), "10.0.0.2/24 fd00::2/64")
	want := `.podnet/owners/` + Owner{"c1", "eth0"}.key() + ` "-> podnet 10.0.0.2 fd00::2"
.podnet/record "{\"version\":1,\"bootID\":\"BOOT\"}\n"
10.0.0.2 "c1\r\neth0"
fd00::2 "c1\r\neth0"
last_reserved_ip.0 "10.0.0.2"
last_reserved_ip.1 "fd00::2"
lock ""
`
	check(t, dump(t, s), want)
	if info, err := os.Stat(s.leasePath(addr("10.0.0.2"))); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode of a lease: %v, %v; want 0600", info.Mode(), err)
	}
}

func TestReserve(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/29")}
	check(t, reserve(s, owner(1), sets), "10.0.0.2/29")
	check(t, reserve(s, owner(2), sets), "10.0.0.3/29")
	check(t, reserve(s, owner(1), sets), "10.0.0.2/29")                   // the same again
	check(t, reserve(s, Owner{"c1", "eth1"}, sets), "10.0.0.4/29")        // another interface is another owner
	check(t, reserve(s, owner(3), sets, addr("10.0.0.6")), "10.0.0.6/29") // asked for by name
	check(t, reserve(s, owner(3), sets, addr("10.0.0.6")), "10.0.0.6/29")
	check(t, reserve(s, owner(3), sets, addr("10.0.0.5")),
		"requested IP address 10.0.0.5 is not available: this container has 10.0.0.6 already: DEL it first")
	check(t, reserve(s, owner(4), sets, addr("10.0.0.6")), "requested IP address 10.0.0.6 is not available: container c3 (eth0) has it")
	check(t, reserve(s, owner(4), sets, addr("10.0.0.1")), "requested IP address 10.0.0.1 is not available: it is the subnet's gateway")
	check(t, reserve(s, owner(4), sets, addr("10.9.0.1")),
		"requested IP address 10.9.0.1 is not available: it is in none of the ranges, or another address of its range set was requested too")
	check(t, reserve(s, owner(4), sets), "10.0.0.5/29")
	check(t, reserve(s, owner(5), sets),
		"failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6")

	freed, err := s.Release(context.Background(), owner(2))
	check(t, fmt.Sprint(freed, err), "[10.0.0.3] <nil>")
	freed, err = s.Release(context.Background(), owner(2))
	check(t, fmt.Sprint(freed, err), "[] <nil>")
	check(t, reserve(s, owner(5), sets), "10.0.0.3/29")
}

// An address rests as long as the range allows before it is given again.
func TestRoundRobin(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/29")}
	for i, want := range []string{"2", "3", "4", "5", "6", "2", "3"} {
		check(t, reserve(s, owner(i), sets), "10.0.0."+want+"/29")
		if _, err := s.Release(context.Background(), owner(i)); err != nil {
			t.Fatal(err)
		}
	}
}

// All sets or none: the first set's address is not kept when the second has none.
func TestAllOrNothing(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/24"), set(t, "fd00::/126 fd00::2-fd00::2")}
	check(t, reserve(s, owner(1), sets), "10.0.0.2/24 fd00::2/126")
	before := dump(t, s)
	var full *ExhaustedError
	if _, err := s.Reserve(context.Background(), owner(2), sets); !errors.As(err, &full) || full.Index != 1 {
		t.Errorf("got %v, want set 1 exhausted", err)
	}
	check(t, dump(t, s), before)
}

func TestNearlyFull(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/23")}
	for i := range 509 {
		if got := reserve(s, owner(i), sets); strings.Contains(got, "failed") {
			t.Fatal(got)
		}
	}
	check(t, reserve(s, owner(509), sets), "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.1.254")
	if _, err := s.Release(context.Background(), owner(300)); err != nil {
		t.Fatal(err)
	}
	check(t, reserve(s, owner(509), sets), "10.0.1.46/23") // 300 addresses after the last one given
}

// What an interrupted call left: the repeated one gives the same address, whatever was given in between.
func TestInterrupted(t *testing.T) {
	sets := []Set{set(t, "10.0.0.0/24")}
	for name, interrupt := range map[string]func(*Store) error{
		"before the lease": func(s *Store) error {
			return s.putEntry(owner(1).key(), entry{byPodnet, []netip.Addr{addr("10.0.0.2")}, ""})
		},
		"after the lease": func(s *Store) error {
			return errors.Join(s.putEntry(owner(1).key(), entry{byPodnet, []netip.Addr{addr("10.0.0.2")}, ""}),
				s.addLease(addr("10.0.0.2"), owner(1)))
		},
		"lease linked, scratch left": func(s *Store) error {
			scratch, err := s.scratch(owner(1).content())
			return errors.Join(err, s.putEntry(owner(1).key(), entry{byPodnet, []netip.Addr{addr("10.0.0.2")}, ""}),
				os.Link(scratch, s.leasePath(addr("10.0.0.2"))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			check(t, reserve(s, owner(0), sets, addr("10.0.0.9")), "10.0.0.9/24")
			if err := interrupt(s); err != nil {
				t.Fatal(err)
			}
			check(t, reserve(s, owner(2), sets), "10.0.0.10/24")
			check(t, reserve(s, owner(1), sets), "10.0.0.2/24")
			freed, err := s.Release(context.Background(), owner(1))
			check(t, fmt.Sprint(freed, err), "[10.0.0.2] <nil>")
			check(t, reserve(s, owner(0), sets), "10.0.0.9/24")
		})
	}
}

// write does what the reference plugin does, or a person.
func write(t *testing.T, s *Store, name, content string) {
	t.Helper()
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Another plugin's leases are found, in a store that is new and in one that podnet has been keeping.
func TestForeignLeases(t *testing.T) {
	sets := []Set{set(t, "10.0.0.0/24")}
	for _, kept := range []bool{false, true} {
		s := open(t, t.TempDir()+"/n")
		if kept {
			reserve(s, owner(9), sets, addr("10.0.0.200"))
		}
		write(t, s, "10.0.0.2", "theirs\r\neth0")
		write(t, s, "10.0.0.3", "ancient")
		write(t, s, "10.0.0.4", "")             // killed between making and writing it
		write(t, s, "10.0.0.5", "\x00\x00\x00") // after the crash of the machine
		write(t, s, "last_reserved_ip.0", "10.0.0.3")
		check(t, reserve(s, Owner{"theirs", "eth0"}, sets), "10.0.0.2/24")
		check(t, reserve(s, owner(1), sets), "10.0.0.4/24")
		check(t, reserve(s, owner(2), sets), "10.0.0.5/24")
		freed, err := s.Release(context.Background(), Owner{"ancient", "eth0"})
		check(t, fmt.Sprint(freed, err), "[10.0.0.3] <nil>")
		if err := os.Remove(s.leasePath(addr("10.0.0.2"))); err != nil {
			t.Fatal(err)
		}
		check(t, reserve(s, owner(3), sets, addr("10.0.0.2")), "10.0.0.2/24")
		check(t, reserve(s, Owner{"theirs", "eth0"}, sets), "10.0.0.3/24")
	}
}

// After a boot podnet's leases are free; those that others wrote are not podnet's to judge.
func TestBoot(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/29")}
	write(t, s, "10.0.0.2", "theirs\r\neth0")
	for i := range 4 {
		reserve(s, owner(i), sets)
	}
	check(t, reserve(s, owner(4), sets), "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6")
	s.bootID = "the next boot"
	for i := range 4 {
		check(t, reserve(s, owner(10+i), sets), fmt.Sprintf("10.0.0.%d/29", 3+i))
	}
	check(t, reserve(s, owner(4), sets), "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6")
	check(t, fmt.Sprint(leases(t, s)), "map[10.0.0.2:theirs,false 10.0.0.3:c10,true 10.0.0.4:c11,true 10.0.0.5:c12,true 10.0.0.6:c13,true]")
}

// An address that podnet adds to what another plugin gave does not make that podnet's own.
func TestMixedOwner(t *testing.T) {
	s := open(t, t.TempDir())
	write(t, s, "10.0.0.2", "theirs\r\neth0")
	check(t, reserve(s, Owner{"theirs", "eth0"}, []Set{set(t, "10.0.0.0/24"), set(t, "fd00::/64")}), "10.0.0.2/24 fd00::2/64")
	check(t, fmt.Sprint(leases(t, s)), "map[10.0.0.2:theirs,false fd00::2:theirs,false]")
}

func leases(t *testing.T, s *Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for l, err := range s.Leases() {
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(l.Since); age < -time.Minute || age > time.Hour {
			t.Errorf("%s since %s", l.Addr, l.Since)
		}
		all[l.Addr.String()] = fmt.Sprintf("%s,%t", l.Owner.ContainerID, l.Ours)
	}
	return all
}

func TestNoStore(t *testing.T) {
	s := open(t, t.TempDir()+"/none")
	freed, err := s.Release(context.Background(), owner(1))
	exists, failed := s.exists()
	check(t, fmt.Sprint(freed, err, len(leases(t, s)), exists, failed), "[] <nil> 0 false <nil>")
}

func TestBusy(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/24")}
	held, err := acquire(context.Background(), s.dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Reserve(ctx, owner(1), sets); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	held.Close()
	check(t, reserve(s, owner(1), sets), "10.0.0.2/24") // who gave up does not keep the lock
}

// The runtime's name for a pod is kept with its leases, over a partial release too, and one that would break the entry is not.
func TestNamed(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/29"), set(t, "fd00::/64")}
	reserve(s.Named("default/web"), owner(1), sets)
	reserve(s.Named("a b"), owner(2), sets)
	if _, err := s.Release(context.Background(), owner(1), addr("10.0.0.2")); err != nil {
		t.Fatal(err)
	}
	named := map[string]string{}
	for l, err := range s.Leases() {
		if err != nil || !l.Ours {
			t.Error(l, err)
		}
		named[l.Addr.String()] = l.Pod
	}
	check(t, fmt.Sprint(named), "map[10.0.0.3: fd00::2:default/web fd00::3:]")
}
