package ipam

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Collect frees what is podnet's own, gone and not held, and nothing that lacks one of the three. A
// process holds what it has reserved as Bound until it ends, what it had before included.
func TestCollect(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/22"), set(t, "fd00::/64")}
	for _, id := range []string{"gone", "alive", "returns", "again"} {
		if _, err := s.Reserve(t.Context(), Owner{id, "eth0"}, sets); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(s.dir, "10.0.0.77")
	if err := os.WriteFile(foreign, []byte("gone-foreign\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	ended := []func(){adding(t, s.dir, "young"), adding(t, s.dir, "again")}
	asked := map[string]int{}
	collect := func() (freed []string) {
		t.Helper()
		leases, err := s.Collect(t.Context(), func(l Lease) (bool, error) {
			id := l.Owner.ContainerID
			asked[id+l.Addr.String()]++
			if id == "returns" { // its veth appears between the two questions
				return asked[id+l.Addr.String()] == 1, nil
			}
			return id != "alive", nil
		})
		if err != nil {
			t.Error(err)
		}
		for _, l := range leases {
			freed = append(freed, l.Owner.ContainerID)
		}
		slices.Sort(freed)
		return freed
	}
	check(t, fmt.Sprint(collect()), "[gone gone]")
	for _, end := range ended {
		end()
	}
	check(t, fmt.Sprint(collect()), "[again again young young]")
	for l := range s.Leases() {
		if id := l.Owner.ContainerID; id != "alive" && id != "returns" && id != "gone-foreign" {
			t.Errorf("the lease of %s was reported freed and is there", id)
		}
	}
	check(t, fmt.Sprint(len(leases(t, s))), "5")
}

// adding starts a process that reserves as Bound, and returns when it has; ended kills it.
func adding(t *testing.T, dir, id string) (ended func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s%s %s", workerEnv, addingJob, id, dir))
	_, err := cmd.StdinPipe() // open until the process has ended
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err, err2, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	ended = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
	t.Cleanup(ended)
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	return ended
}

// An ADD that is repeated takes its old lease up again: from then on it is not old.
func TestReserveAgainMakesALeaseYoung(t *testing.T) {
	s := open(t, t.TempDir())
	o := Owner{"id", "eth0"}
	grants, err := s.Reserve(t.Context(), o, []Set{set(t, "10.1.0.0/24")})
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(s.leasePath(grants[0].Addr.Addr()), old, old); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reserve(t.Context(), o, []Set{set(t, "10.1.0.0/24")}); err != nil {
		t.Fatal(err)
	}
	for l := range s.Leases() {
		if time.Since(l.Since) > time.Minute {
			t.Errorf("the lease is of %s", l.Since)
		}
	}
}

// A lease that the bridge plugin made is not its own any more when host-local takes it up again for
// another one, which may make the pod's veth after its process has ended.
func TestReserveAgainUnbinds(t *testing.T) {
	s := open(t, t.TempDir())
	for _, c := range []struct {
		store *Store
		want  string
	}{{s.Bound(), "true,true"}, {s.Bound(), "true,true"}, {s, "true,false"}, {s.Bound(), "true,false"}} {
		reserve(c.store, owner(1), []Set{set(t, "10.0.0.0/24")})
		end(c.store)
		for l := range s.Leases() {
			check(t, fmt.Sprintf("%t,%t", l.Ours, l.Bound), c.want)
		}
	}
}

// end has a store let go of its leases, as the end of its process would.
func end(s *Store) {
	for a := range s.own {
		s.letGo(a)
	}
}
