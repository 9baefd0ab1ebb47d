package agent

import (
	"context"
	"errors"
	"time"

	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
)

// Confirm keeps the topology on trial in force, and returns its digest. It returns false, and has
// changed nothing, if the time of the trial is over: then only Rollback is left. The caller holds
// the node's lock.
func (s *Session) Confirm() (digest string, inTime bool, err error) {
	t, err := s.onTrial("confirm")
	if err != nil {
		return "", false, err
	}
	if s.Source.Left(t) <= 0 {
		return t.Digest, false, nil
	}
	if err := s.Source.Confirm(); err != nil {
		return "", false, err
	}
	return t.Digest, true, s.Judge()
}

// Rollback ends the trial, and makes the node what was in force before. The pass is nil if that is
// nothing, or if there is an error and nothing has changed in the kernel. The caller holds the
// node's lock.
func (s *Session) Rollback() (*Pass, error) {
	if _, err := s.onTrial("rollback"); err != nil {
		return nil, err
	}
	undone, left := s.Undo(s.Source, true)
	switch {
	case undone == nil && left != nil:
		return nil, left
	case undone == nil:
		return nil, &Refusal{"the topology was confirmed before"}
	}
	v := s.Source.Judge(s.ID)
	if v.Topology == nil {
		s.Decision = v
		return nil, left
	}
	p, err := s.follow(v.Topology, nil, s.Source.Judge)
	return p, errors.Join(err, left)
}

// onTrial judges the files anew and returns the trial on record, which a verb wants to end.
func (s *Session) onTrial(verb string) (*rollout.Trial, error) {
	if err := s.Judge(); err != nil {
		return nil, err
	}
	t := s.Source.Trial()
	if t == nil {
		return nil, &Refusal{"no topology is on trial, so " + verb + " has nothing to do" +
			" (podnetctl status says what is in force)"}
	}
	return t, nil
}

// IsOverdue reports whether a trial is over that nobody has ended yet.
func (s *Session) IsOverdue() bool {
	t := s.Source.Trial()
	return t != nil && s.Source.Left(t) <= 0
}

// How often AwaitTrial looks whether there is still something to wait for, and how long it leaves
// an overdue trial to the daemon.
const (
	awaitPause = 500 * time.Millisecond
	awaitGrace = 2 * time.Second
)

// AwaitTrial waits until the trial of a digest is over and no daemon has ended it. It returns false
// if there is no such trial, or none any more. First it waits for the node's lock, which Apply's
// caller holds until the trial has begun.
func AwaitTrial(ctx context.Context, paths state.Paths, digest string) (over bool, err error) {
	unlock, err := Lock(ctx, paths.Lock, nil)
	if err != nil {
		return false, err
	}
	if err := unlock(); err != nil {
		return false, err
	}
	source := rollout.NewSource(paths, nil)
	for {
		t := source.Trial()
		if t == nil || t.Digest != digest || t.BootID != kernel.BootID() {
			return false, nil
		}
		left := source.Left(t)
		if left <= 0 && (left <= -awaitGrace || !DaemonRuns(paths)) {
			return true, nil
		}
		time.Sleep(min(max(left, awaitPause/10), awaitPause))
	}
}
