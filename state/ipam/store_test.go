package ipam

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/state/device"
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

// What an interrupted call left: the repeated one gives the same address, whatever was given in
// between.
func TestInterrupted(t *testing.T) {
	sets := []Set{set(t, "10.0.0.0/24")}
	for name, interrupt := range map[string]func(*Store) error{
		"before the lease": func(s *Store) error {
			return s.putEntry(owner(1).key(), entry{writer: byPodnet, addrs: []netip.Addr{addr("10.0.0.2")}})
		},
		"after the lease": func(s *Store) error {
			return errors.Join(s.putEntry(owner(1).key(), entry{writer: byPodnet, addrs: []netip.Addr{addr("10.0.0.2")}}),
				s.addLease(addr("10.0.0.2"), owner(1)))
		},
		"lease linked, scratch left": func(s *Store) error {
			scratch, err := s.scratch(owner(1).content())
			return errors.Join(err, s.putEntry(owner(1).key(), entry{writer: byPodnet, addrs: []netip.Addr{addr("10.0.0.2")}}),
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

// Another plugin's leases are found, in a store that is new and in one that podnet has been
// keeping.
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
	if freed, err := s.Release(t.Context(), owner(9)); err != nil || len(freed) > 0 {
		t.Error(freed, err)
	}
	check(t, fmt.Sprint(len(leases(t, s))), "5") // whoever does not look for pods decides nothing
	s = s.Looking(pods{}.look, false)
	for i := range 4 {
		check(t, reserve(s, owner(10+i), sets), fmt.Sprintf("10.0.0.%d/29", 3+i))
	}
	check(t, reserve(s, owner(4), sets), "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.6")
	check(t, fmt.Sprint(leases(t, s)), "map[10.0.0.2:theirs,false 10.0.0.3:c10,true 10.0.0.4:c11,true 10.0.0.5:c12,true 10.0.0.6:c13,true]")
}

// Another boot's name frees nothing of a pod that is there, as where a container that sees the
// host's pods has a boot id of its own, or that may be where nobody can look; and nothing that an
// ADD is holding.
func TestAnotherBootOfALivePod(t *testing.T) {
	s := open(t, t.TempDir()+"/net")
	sets := []Set{set(t, "10.0.0.0/24")}
	for i := range 2 {
		bound := s.Bound()
		reserve(bound, owner(i), sets) // 10.0.0.2 and 10.0.0.3
		end(bound)
	}
	reserve(s, owner(2), sets) // for another bridge plugin: 10.0.0.4
	defer adding(t, s.dir, "c3")()
	s.bootID = "a container's"
	for _, c := range []struct {
		there pods
		left  string
	}{
		{pods{err: fs.ErrPermission}, "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{pods{links: []string{device.VethName("net", "c0", "eth0")}, addrs: []string{"10.0.0.3"}, silent: true}, "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{pods{links: []string{device.VethName("net", "c0", "eth0")}, addrs: []string{"10.0.0.4"}}, "10.0.0.2 10.0.0.4 10.0.0.5"},
		{pods{}, "10.0.0.2 10.0.0.4 10.0.0.5"}, // it is that boot now
	} {
		if err := s.Looking(c.there.look, false).Room(t.Context(), sets); err != nil {
			t.Error(err)
		}
		var left []string
		for _, a := range slices.Sorted(maps.Keys(leases(t, s))) {
			if !strings.Contains(a, ":") {
				left = append(left, a)
			}
		}
		check(t, strings.Join(left, " "), c.left)
	}
}

// pods are what a test says can be seen.
type pods struct {
	links, addrs []string
	silent       bool
	err          error
}

func (p pods) look() (Sight, error) { return p, p.err }

func (p pods) Link(name string) (bool, error) { return slices.Contains(p.links, name), nil }

func (p pods) Behind(addrs []netip.Addr) (is, sure bool, err error) {
	for _, a := range addrs {
		is = is || slices.Contains(p.addrs, a.String())
	}
	return is, !p.silent, nil
}

// Where every address has a lease those of dead pods are given, and those alone: of podnet's bridge
// plugin, and of other plugins whose pods are known to have a veth.
func TestReclaim(t *testing.T) {
	s := open(t, t.TempDir()+"/net")
	sets := []Set{set(t, "10.0.0.0/28")} // 13 addresses
	write(t, s, "10.0.0.14", "theirs\r\neth0")
	for i := range 11 { // 10.0.0.2 to 10.0.0.12; the last five for other plugins
		store := s
		if i < 6 {
			store = s.Bound()
		}
		reserve(store, owner(i), sets)
		end(store)
	}
	last := s.Bound() // being added
	check(t, reserve(last, owner(11), sets), "10.0.0.13/28")
	old := time.Now().Add(-time.Hour / 2)
	for a := range leases(t, s) {
		if a != "10.0.0.12" {
			if err := os.Chtimes(filepath.Join(s.dir, a), old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
	full := "failed to allocate for range 0: no IP addresses available in range set: 10.0.0.1-10.0.0.14"
	there := pods{links: []string{device.VethName("net", "c0", "eth0")}, addrs: []string{"10.0.0.3", "10.0.0.9"}}
	check(t, reserve(s, owner(20), sets), full)
	check(t, reserve(s.Looking(pods{err: fs.ErrPermission}.look, true), owner(20), sets), full)

	looking := s.Looking(there.look, false)
	if err := s.Room(t.Context(), sets); err == nil {
		t.Error("there is room for whoever does not look")
	}
	if err := looking.Room(t.Context(), sets); err != nil {
		t.Error(err)
	}
	check(t, fmt.Sprint(len(leases(t, s))), "13") // a question frees nothing
	check(t, reserve(looking, owner(20), sets), "10.0.0.4/28")
	check(t, fmt.Sprint(slices.SortedFunc(slices.Values(looking.Reclaimed()), netip.Addr.Compare)), "[10.0.0.4 10.0.0.5 10.0.0.6 10.0.0.7]")
	for i := range 3 {
		check(t, reserve(s.Looking(there.look, false), owner(21+i), sets), fmt.Sprintf("10.0.0.%d/28", 5+i))
	}
	held := []string{device.VethName("net", "c20", "eth0"), device.VethName("net", "c21", "eth0"), device.VethName("net", "c22", "eth0"), device.VethName("net", "c23", "eth0")}
	there.links = append(there.links, held...)
	check(t, reserve(s.Looking(there.look, false), owner(30), sets), full)
	there.silent = true
	check(t, reserve(s.Looking(there.look, true), owner(30), sets), full)
	there.silent = false
	check(t, reserve(s.Looking(there.look, true), owner(30), sets, addr("10.0.0.9")), "requested IP address 10.0.0.9 is not available: container c7 (eth0) has it")
	check(t, reserve(s.Looking(there.look, true), owner(30), sets, addr("10.0.0.10")), "10.0.0.10/28")
	check(t, reserve(s.Looking(there.look, true), owner(31), sets), "10.0.0.11/28")
	check(t, reserve(s.Looking(there.look, true), owner(32), sets), "10.0.0.8/28")
	check(t, reserve(s.Looking(there.look, true), owner(33), sets), full)
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

// The MAC of a pod's interface is kept with its leases, over a partial release too; that of a later
// ADD counts.
func TestSending(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/29"), set(t, "fd00::/64")}
	given := func(want string) {
		t.Helper()
		addrs, mac, err := s.Given(owner(1))
		if got := fmt.Sprint(addrs, net.HardwareAddr(mac[:]), err); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	given("[] 00:00:00:00:00:00 <nil>")
	reserve(s.Named("mac=02:00:00:00:00:99").Sending([6]byte{2, 0, 0, 0, 0, 1}), owner(1), sets)
	given("[10.0.0.2 fd00::2] 02:00:00:00:00:01 <nil>")
	if _, err := s.Release(context.Background(), owner(1), addr("10.0.0.2")); err != nil {
		t.Fatal(err)
	}
	given("[fd00::2] 02:00:00:00:00:01 <nil>")
	reserve(s.Sending([6]byte{2, 0, 0, 0, 0, 2}), owner(1), sets)
	given("[fd00::2 10.0.0.3] 02:00:00:00:00:02 <nil>")
}

// The runtime's name for a pod is kept with its leases, over a partial release too, and one that
// would break the entry is not.
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
