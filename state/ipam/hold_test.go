package ipam

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// While an ADD is at work, another ADD and a DEL of the same attachment wait for it, a GC passes it
// by, and other attachments go on.
func TestOneCallAtATime(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/22"), set(t, "fd00::/64")}
	endAdd := adding(t, s.dir, "c1")
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c1 := Owner{"c1", "eth0"}
	for name, call := range map[string]func(s *Store) error{
		"reserve": func(s *Store) error { _, err := s.Reserve(brief, c1, sets); return err },
		"release": func(s *Store) error { _, err := s.Release(brief, c1); return err },
		"claim":   func(s *Store) error { _, err := s.Claim(brief, c1); return err },
	} {
		for kind, s := range map[string]*Store{"bound": s.Bound(), "unbound": s} {
			if err := call(s); !errors.Is(err, ErrInFlight) {
				t.Errorf("%s, %s: %v, want ErrInFlight", kind, name, err)
			}
		}
	}
	if freed, err := s.Retain(t.Context(), func(Owner) bool { return false }); err != nil || len(freed) != 0 {
		t.Errorf("a GC freed %v, %v", freed, err)
	}
	check(t, reserve(s, owner(2), sets), "10.0.0.3/22 fd00::3/64")

	bound := s.Bound()
	reserved, released := make(chan string, 1), make(chan string, 1)
	go func() { reserved <- reserve(bound, c1, sets) }()
	go func() { freed, err := s.Release(t.Context(), c1); released <- fmt.Sprint(freed, err) }()
	endAdd()
	ctx, cancel := context.WithTimeout(t.Context(), lab.Patience)
	defer cancel()
	await := func(one, other <-chan string) (first bool) {
		select {
		case <-one:
			return true
		case <-other:
			return false
		case <-ctx.Done():
			t.Fatal("nobody went on after the ADD had ended")
			return false
		}
	}
	if await(reserved, released) { // the release waits for it in turn
		end(bound)
		await(released, nil)
		return
	}
	await(reserved, nil)
	end(bound)
}

// What a call holds is its own: it takes back what it gave, and what it does not give back stays
// with its owner.
func TestTakeBack(t *testing.T) {
	s := open(t, t.TempDir())
	sets := []Set{set(t, "10.0.0.0/24")}
	both := append(sets, set(t, "fd00::/64"))
	first := s.Bound()
	check(t, reserve(first, owner(1), sets), "10.0.0.2/24")
	end(first)
	second := s.Bound()
	check(t, reserve(second, owner(1), both), "10.0.0.2/24 fd00::2/64")
	if _, err := second.Release(t.Context(), owner(1), addr("fd00::2")); err != nil {
		t.Fatal(err)
	}
	check(t, fmt.Sprint(leases(t, s)), "map[10.0.0.2:c1,true]")
	end(second)
	third := s.Bound()
	claimed, err := third.Claim(t.Context(), owner(1))
	check(t, fmt.Sprint(claimed, err), "[10.0.0.2] <nil>")
	freed, err := third.Release(t.Context(), owner(1), claimed...)
	check(t, fmt.Sprint(freed, err, leases(t, s)), "[10.0.0.2] <nil> map[]")
	check(t, reserve(s.Bound(), owner(1), sets), "10.0.0.3/24") // the old hold is of a file that has gone
}
