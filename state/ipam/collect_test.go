package ipam

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// Collect frees what is podnet's own, settled and gone, and nothing that lacks one of the three.
func TestCollect(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.1.0.0/24")}
	for _, id := range []string{"gone", "alive", "young", "returns", "again"} {
		if _, err := s.Reserve(t.Context(), Owner{id, "eth0"}, sets); err != nil {
			t.Fatal(err)
		}
	}
	foreign := filepath.Join(s.dir, "10.1.0.77")
	if err := os.WriteFile(foreign, []byte("gone-foreign\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	freed, err := s.Collect(t.Context(), func(o Owner) (bool, error) {
		asked[o.ContainerID]++
		if o.ContainerID == "returns" { // its veth appears between the two questions
			return asked["returns"] == 1, nil
		}
		return o.ContainerID != "alive", nil
	}, func(found []Lease) []Lease {
		if _, err := s.Reserve(t.Context(), Owner{"again", "eth0"}, sets); err != nil { // an ADD begins
			t.Fatal(err)
		}
		return slices.DeleteFunc(found, func(l Lease) bool { return l.Owner.ContainerID == "young" })
	})
	if err != nil || len(freed) != 1 || freed[0].Owner.ContainerID != "gone" {
		t.Errorf("freed %+v, %v", freed, err)
	}
	left := map[string]bool{}
	for l := range s.Leases() {
		left[l.Owner.ContainerID] = true
	}
	for _, id := range []string{"alive", "young", "returns", "again", "gone-foreign"} {
		if !left[id] {
			t.Errorf("%s has lost its lease", id)
		}
	}
	if left["gone"] {
		t.Error("a lease was reported freed and is there")
	}
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
