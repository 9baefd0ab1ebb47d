package rollout

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
	"github.com/podnet/podnet/state/kernel"
)

// Trial is a topology that takes effect until it is confirmed or its time is up. It is never the
// last good one: that stays what it was, so that a node that loses everything else comes back with
// it. What a trial needs to end is on disk before it begins:
//
//	pending/topology.yaml  the topology on trial
//	pending/previous.yaml  the file that it takes the place of, if there was one
//	pending/trial.json     this record, whose presence is the trial
type Trial struct {
	Digest   string        `json:"digest"`
	Previous string        `json:"previous,omitempty"` // digest of the file before; "": there was none
	Bare     bool          `json:"bare,omitempty"`     // nothing was in force: nothing may stay of it
	BootID   string        `json:"bootID"`
	Deadline time.Duration `json:"deadlineSinceBootNanoseconds"` // of CLOCK_BOOTTIME, which nobody can set
	// the same for people, by the wall clock at its beginning
	Until time.Time `json:"until"`

	broken bool // the record cannot be read
}

// Instant is a moment of one boot: a deadline by it stands whatever happens to the wall clock.
type Instant struct {
	BootID string
	Since  time.Duration // since that boot, suspended time included
}

func now() Instant { return Instant{kernel.BootID(), kernel.SinceBoot()} }

// Left is how long a trial has still to go; 0 or less: it is over, and so is one of another boot.
func (t *Trial) Left(at Instant) time.Duration {
	if at.BootID != t.BootID {
		return 0
	}
	return t.Deadline - at.Since
}

// TrialRecord returns the path of the record of a trial.
func (s *Source) TrialRecord() string { return filepath.Join(s.paths.Pending, "trial.json") }

// TrialTopology is where the topology on trial is kept.
func (s *Source) TrialTopology() string { return filepath.Join(s.paths.Pending, "topology.yaml") }
func (s *Source) trialPrevious() string { return filepath.Join(s.paths.Pending, "previous.yaml") }

// mostRecord is how long the record of a trial can be, and the list of what was rolled back, bytes.
const mostRecord = 1 << 16

// Trial returns the trial that is on record, or nil if there is none. Its time may be over: a trial
// stays on record until Undo or Confirm ends it. If the record cannot be read, Trial returns one
// whose time is over.
func (s *Source) Trial() *Trial {
	data, err := files.ReadFile(s.TrialRecord(), mostRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	t := new(Trial)
	if err != nil || json.Unmarshal(data, t) != nil {
		t = &Trial{broken: true}
		if tried, err := s.files.read(s.TrialTopology()); err == nil {
			t.Digest = tried.digest
		}
	}
	return t
}

// Left is how long a trial has still to go by this host's clock.
func (s *Source) Left(t *Trial) time.Duration { return t.Left(s.clock()) }

// Due fires when the trial that is under way is over; nil: there is none.
func (s *Source) Due() <-chan time.Time {
	t := s.Trial()
	if t == nil {
		return nil
	}
	const soon = time.Second // it could not be ended: try again, but not at once
	return time.After(max(s.Left(t), soon))
}

// ErrNothingBefore says that there is nothing that a trial could go back to.
var ErrNothingBefore = errors.New("there is nothing to go back to: podnet's objects are on this node, and no topology is in force (apply it without --confirm)")

// Irreversible refuses, with an error that is a *Refused, to try what a trial could not undo:
// before is what it would go back to, nil if that is nothing. Pods that start under another name of
// the network have their leases there, and the name before would give their addresses out again; no
// guard could help, because the way back has to be open.
func Irreversible(before, next *schema.Topology) error {
	if before == nil || before.Network.CNI.Name == next.Network.CNI.Name {
		return nil
	}
	was, is := before.Network.CNI.Name, next.Network.CNI.Name
	g := reconcile.Guard{
		Numbers: fmt.Sprintf("network.cni.name changes from %s to %s, which no trial can undo: the addresses of pods that start"+
			" during it are leased under %s, and would be given out again under %s", was, is, is, was),
		WaysOn: "try the rest of the file without this, or while the node has no pods, and for good:  podnetctl apply",
	}
	g.Compose()
	return &Refused{g, ReasonGuard}
}

// Begin puts a topology on trial: what comes next is that the caller puts its file in place. v is
// the decision until now; its topology, unless it is the very one to be tried, becomes the last good
// one, as it is what the trial goes back to. The caller holds the node's lock.
func (s *Source) Begin(v *Decision, data []byte, d time.Duration) (*Trial, error) {
	at, digest := s.clock(), schema.Digest(data)
	before := *v
	if before.Topology != nil && before.Topology.Digest == digest {
		before = Decision{Topology: v.Previous}
	}
	t := &Trial{
		Digest: digest, Bare: before.Topology == nil, BootID: at.BootID, Deadline: at.Since + d, Until: time.Now().Add(d).
			UTC().Round(time.Second),
	}
	if next := s.parse(s.paths.Topology, content{data, digest}).topology; next != nil {
		if err := Irreversible(before.Topology, next); err != nil {
			return nil, err
		}
	}
	if t.Bare {
		if live, err := s.witness.Owned(state.KindLink); err != nil || live.Links.Len() > 0 {
			return nil, errors.Join(ErrNothingBefore, err)
		}
	}
	if err := s.Keep(&before); err != nil {
		return nil, err
	}
	previous, err := s.previous(digest)
	if err != nil {
		return nil, err
	}
	if previous != nil {
		t.Previous = schema.Digest(previous)
	}
	return t, errors.Join(s.Pardon(digest), s.record(t, data, previous))
}

// previous is the file that comes back if the one of this digest does not stay: the one in place,
// or if that is the one to be tried, the last good one; nil: there is no file.
func (s *Source) previous(digest string) ([]byte, error) {
	disk, err := s.files.read(s.paths.Topology)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && disk.digest == digest {
		if kept, err := s.files.read(s.paths.LastGood); err == nil {
			return kept.data, nil
		}
	}
	return disk.data, err
}

// record writes what a trial needs to end, the record itself last.
func (s *Source) record(t *Trial, data, previous []byte) error {
	text, err := json.MarshalIndent(t, "", "  ")
	if err != nil {
		return err
	}
	if err := errors.Join(os.RemoveAll(s.paths.Pending), files.MakeDir(s.paths.Pending)); err != nil {
		return err
	}
	if previous != nil {
		if err := files.ReplaceFile(s.trialPrevious(), previous, 0o644); err != nil {
			return err
		}
	}
	if err := files.ReplaceFile(s.TrialTopology(), data, 0o644); err != nil {
		return err
	}
	return files.ReplaceFile(s.TrialRecord(), append(text, '\n'), 0o644)
}

// Confirm makes the topology on trial the last good one. The caller holds the node's lock.
func (s *Source) Confirm() error {
	tried, err := s.files.read(s.TrialTopology())
	if err == nil {
		err = s.replaceLastGood(tried.data)
	}
	if err != nil {
		return fmt.Errorf("confirm: %w", err)
	}
	return s.drop()
}

// drop removes all of a trial, the record first: without it there is none.
func (s *Source) drop() error {
	if err := os.Remove(s.TrialRecord()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := files.SyncDir(s.paths.Pending); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(s.paths.Pending)
}
