package model

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// oneInReal is how many sequences there are for each that is played with a real podnetd, which
// takes its time.
const oneInReal = 25

// leastReal is how many of them are played in any case.
const leastReal = 5

// TestRealSequences plays a share of them with a daemon that is told nothing: it hears of what
// happens, or it does not.
func TestRealSequences(t *testing.T) {
	if err := lab.RequirePrograms("podnetd"); err != nil {
		t.Fatal(err)
	}
	if *seed != 0 {
		t.Skip("another test plays -seed")
	}
	begin, failed := time.Now(), 0
	n := max(leastReal, *sequences/oneInReal)
	for i := range uint64(n) {
		t.Run(fmt.Sprint(*first+i), func(t *testing.T) {
			if err := playReal(t, *first+i, false); err != nil {
				failed++
				t.Errorf("%v\nplay it again: go test ./test/model -v -args -real -seed %d", err, *first+i)
			}
		})
	}
	fmt.Printf("with a real podnetd: %d of %d events each from seed %d, %d failed, %v\n", n, length, *first, failed, time.Since(begin).Round(time.Second))
}

func playReal(t *testing.T, seed uint64, tell bool) error {
	n := lab.New(t).Node(self)
	w := &world{T: t, Namespace: n.Namespace, dice: rand.New(rand.NewPCG(seed, 27)), paths: state.DefaultPaths(n.Root), daemon: n}
	n.WriteFile(lab.TopologyPath, "")
	err := w.beginReal()
	for i := 0; i < length && err == nil; i++ {
		err = w.eventReal()
	}
	if err != nil || tell {
		t.Logf("seed %d:\n%s", seed, strings.Join(w.history, "\n"))
	}
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	return nil
}

func (w *world) beginReal() error {
	w.plan()
	w.write()
	w.daemon.Launch("--resync", "2s", "--metrics-addr", "")
	return w.pass()
}

// eventReal is the next thing that happens; several may happen before the daemon is waited for.
func (w *world) eventReal() error {
	switch w.dice.IntN(7) {
	case 0, 1:
		w.edit()
		w.write()
	case 2, 3:
		w.damage()
	case 4: // in the middle of whatever it is at
		w.upset()
		w.note("kill -9, and started")
		w.daemon.Kill9()
		w.daemon.Launch("--resync", "2s", "--metrics-addr", "")
	case 5:
		return w.tryReal()
	default:
		if err := w.pass(); err != nil { // the daemon knows the file that it stays with
			return err
		}
		if err := w.bad(); err != nil {
			return err
		}
		w.edit()
		w.write()
	}
	if w.dice.IntN(3) == 0 {
		return nil
	}
	return w.pass()
}

// awaitDaemon waits until the daemon has read the file on disk and the kernel is as the model says.
func (w *world) awaitDaemon() error {
	if w.follows() {
		w.followed()
	}
	_, err := lab.Poll(w.Context(), 2*lab.Patience, func() error {
		s, err := w.daemon.Status()
		switch {
		case err != nil:
			return err
		case s.Topology.OnDisk.Digest != lab.Digest(w.wanted.String()) || s.Topology.OnDisk.Accepted != w.follows():
			return fmt.Errorf("on disk %+v, want accepted: %v", s.Topology.OnDisk, w.follows())
		case !s.InSync:
			return fmt.Errorf("not in sync: %+v", s.Conditions)
		}
		return w.Do(w.compare)
	})
	if err != nil && w.daemon != nil {
		err = errors.Join(err, errors.New(strings.Join(w.history[max(0, len(w.history)-3):], "\n")))
	}
	return err
}
