package rollout

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/files"
)

// Undone is a trial that was rolled back.
type Undone struct {
	Trial
	Topology *schema.Topology // what was on trial; nil: that cannot be read any more
}

// Before is the topology in force until now, as seen by the pass after u, which may be nil.
func (u *Undone) Before(v *Decision) *schema.Topology {
	if u == nil || u.Topology == nil || v.Fresh() {
		return v.Previous
	}
	return u.Topology
}

// Undo ends a trial that is over, or any if told to: the file before comes back, if nobody has put
// another in place meanwhile, and the digest is remembered, so that nobody but an operator has it
// applied again. What was there before is for the next pass to converge to; where nothing was in
// force before, podnet's objects go at once. Nil: there was nothing to end, or nothing has changed.
// A process that dies on the way leaves the rest to the next, and so does an error of a trial that
// is over: the next decision does not follow it, whatever could not be written. The caller holds the
// node's lock.
//
// clear removes podnet's objects from the node, whose network is that of the topology that it gets,
// or of none.
func (s *Source) Undo(always bool, clear func(*schema.Topology) error) (*Undone, error) {
	t := s.Trial()
	if t == nil {
		return nil, s.tidy()
	}
	tried, _, _ := s.read(s.TrialTopology())
	switch {
	case s.isLastGood(t.Digest): // confirmed, by a process that did not live to say so
		return nil, s.drop()
	case !always && tried.topology != nil && !s.over(t):
		return nil, nil
	}
	failed := s.deny(t.Digest)
	if failed != nil && tried.topology != nil && !s.over(t) {
		return nil, fmt.Errorf("roll back: %w (nothing has changed, and at its time the trial ends by itself: make that writable, then"+
			" podnetctl rollback)", failed)
	}
	u := &Undone{*t, tried.topology}
	failed = errors.Join(failed, s.restore(t))
	if last, _, _ := s.read(s.paths.LastGood); t.Bare && last.topology == nil && t.BootID == s.clock().BootID {
		failed = errors.Join(failed, clear(u.Topology))
	}
	if failed != nil {
		return u, fmt.Errorf("roll back: %w (the network is that from before; make that writable, and podnetd or podnetctl rollback"+
			" does the rest)", failed)
	}
	return u, s.drop()
}

// over says that a trial has no time left, or that its end has begun.
func (s *Source) over(t *Trial) bool { return s.Left(t) <= 0 || s.rolledBack(t.Digest) != nil }

// tidy removes what is left of a trial that a killed process did not come to begin, or to end.
func (s *Source) tidy() error {
	if _, err := os.Stat(s.paths.Pending); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return s.drop()
}

// restore puts the file before in place again, unless it is there or somebody has put a third one
// there.
func (s *Source) restore(t *Trial) error {
	disk, err := s.files.read(s.paths.Topology)
	if err != nil || disk.digest != t.Digest || t.Previous == t.Digest {
		return nil
	}
	if t.Previous == "" && !t.broken {
		return os.Remove(s.paths.Topology)
	}
	previous, err := s.files.read(s.trialPrevious())
	if errors.Is(err, fs.ErrNotExist) {
		previous, err = s.files.read(s.paths.LastGood)
	}
	if err != nil {
		return err
	}
	return PutInPlace(s.paths.Topology, previous.data)
}

// PutInPlace replaces a topology, or the file that it is a symbolic link to, and keeps its mode
// and, as far as this user may, its owner. One that holds the same is left alone.
func PutInPlace(path string, data []byte) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	if have, err := ReadTopology(path); err == nil && schema.Digest(have) == schema.Digest(data) {
		return nil
	}
	before, err := os.Lstat(path)
	if err != nil || !before.Mode().IsRegular() {
		return files.ReplaceFile(path, data, 0o644)
	}
	return files.ReplaceFileLike(path, data, before)
}

// mostCondemned is how many digests are remembered.
const mostCondemned = 100

// denied are the digests that were rolled back and since when, a line each, the latest last.
func (s *Source) denied() []string {
	data, err := files.ReadFile(s.paths.RolledBack, mostRecord)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(strings.Split(string(data), "\n"), func(line string) bool { return line == "" })
}

// rolledBack is what speaks against a digest that was rolled back; nil: it was not.
func (s *Source) rolledBack(digest string) *reconcile.Guard {
	for _, line := range s.denied() {
		if d, at, _ := strings.Cut(line, " "); d == digest {
			return denial("it was on trial and was rolled back at " + at)
		}
	}
	return nil
}

func denial(numbers string) *reconcile.Guard {
	g := &reconcile.Guard{
		Numbers: numbers,
		WaysOn:  "push a corrected file (nothing else to do), or if it is right after all:  podnetctl apply --allow-disruption",
	}
	g.Compose()
	return g
}

// deny remembers a digest as rolled back.
func (s *Source) deny(digest string) error {
	if digest == "" || s.rolledBack(digest) != nil {
		return nil
	}
	lines := append(s.denied(), digest+" "+time.Now().UTC().Format(time.RFC3339))
	return s.writeCondemned(lines[max(0, len(lines)-mostCondemned):])
}

// Pardon forgets that a digest was rolled back, for an operator who asks for it by name.
func (s *Source) Pardon(digest string) error {
	lines := s.denied()
	rest := slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, digest+" ") })
	if len(rest) == len(lines) {
		return nil
	}
	return s.writeCondemned(rest)
}

func (s *Source) writeCondemned(lines []string) error {
	return files.ReplaceFile(s.paths.RolledBack, []byte(strings.Join(append(lines, ""), "\n")), 0o644)
}
