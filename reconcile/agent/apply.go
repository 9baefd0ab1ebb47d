package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/kernel"
)

// Proposal is a topology that an operator wants to have in force.
type Proposal struct {
	Topology *schema.Topology
	Data     []byte        // its text
	Given    bool          // by the operator; else it is the file in place
	Allow    bool          // whatever the guard says
	Trial    time.Duration // how long it stays unless it is confirmed; 0: for good
	// Await starts the process that ends the trial of a digest when no daemon does.
	Await func(digest string) error
}

// OnTrialError is the error of a proposal that comes while a topology is on trial: what to go back
// to would be in doubt.
type OnTrialError struct{ *rollout.Trial }

func (e *OnTrialError) Error() string { return e.Digest + " is on trial" }

// Apply puts a topology in force: the file is in place before the kernel follows. The error is a
// *rollout.Refused if the guard is against it, and an *OnTrialError while another is on trial. The
// caller holds the node's lock. A pass that is nil has changed nothing in the kernel.
func (s *Session) Apply(p Proposal) (*Pass, error) {
	if err := s.Judge(); err != nil { // others may have had the lock before
		return nil, err
	}
	guard, err := s.Objections(p.Topology, p.Given)
	if err != nil {
		return nil, err
	}
	if t := s.Source.Trial(); t != nil && (p.Given || p.Trial > 0) {
		return nil, &OnTrialError{t}
	}
	if !guard.Passes && !p.Allow {
		return nil, &rollout.Refused{Guard: guard, Reason: rollout.ReasonGuard}
	}
	view, err := s.Propose(p.Topology)
	if err == nil {
		err = view.Lacking()
	}
	if err != nil {
		return nil, err
	}
	return s.putInForce(p, &guard)
}

// putInForce does what was asked for, now that nothing speaks against it.
func (s *Session) putInForce(p Proposal, guard *reconcile.Guard) (*Pass, error) {
	inForce, judge := s.Decision.Previous, s.Source.Judge
	trial := p.Trial > 0 && (inForce == nil || inForce.Digest != p.Topology.Digest)
	if p.Given || p.Allow {
		judge = s.Source.Overrule
	}
	switch {
	case trial:
		if err := s.try(p); err != nil {
			return nil, err
		}
	case p.Given || p.Allow:
		if err := s.Source.Pardon(p.Topology.Digest); err != nil {
			return nil, err
		}
	}
	if !p.Given {
		return s.follow(p.Topology, guard, judge)
	}
	before, err := rollout.ReadTopology(s.Paths.Topology)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := s.place(p.Data, trial); err != nil {
		return nil, err
	}
	pass, err := s.follow(p.Topology, guard, judge)
	if errors.As(err, new(*rollout.NotKept)) {
		return nil, s.takeBack(before, err)
	}
	return pass, err
}

// try puts a topology on trial. Whoever will end it waits before it begins: a process of its own,
// for as long as no daemon does it, so that neither the end of this process nor the daemon's
// matters.
func (s *Session) try(p Proposal) error {
	if err := p.Await(p.Topology.Digest); err != nil {
		return fmt.Errorf("start the process that would undo it: %w", err)
	}
	_, err := s.Source.Begin(&s.Decision, p.Data, p.Trial)
	return err
}

// place puts a topology in place. If that fails, its trial ends before it has begun.
func (s *Session) place(data []byte, trial bool) error {
	err := rollout.PutInPlace(s.Paths.Topology, data)
	if err != nil && trial {
		_, undo := s.Undo(s.Source, true)
		err = errors.Join(err, undo)
	}
	return err
}

// takeBack puts the file before in place again, because the new one cannot come into force: why
// says the reason. There was no file before if before is nil. An apply does all or nothing.
func (s *Session) takeBack(before []byte, why error) error {
	err := os.Remove(s.Paths.Topology)
	if before != nil {
		err = rollout.PutInPlace(s.Paths.Topology, before)
	}
	if err != nil {
		return fmt.Errorf("%w: nothing has changed in the kernel, but the new file is in place at %s and the one before cannot be"+
			" put back: %w (make both writable, then  podnetctl apply --allow-disruption  to accept the new one)",
			why, s.Paths.Topology, err)
	}
	return fmt.Errorf("%w: nothing has changed, and the new file is not in place"+
		" (make that writable, then apply again)", why)
}

// follow makes the node what t asks for and writes the status. judge has to find that t is the
// topology to follow, else somebody has changed the file meanwhile. s.Decision stays the one from
// before the pass. A pass that is nil has changed nothing in the kernel.
func (s *Session) follow(
	t *schema.Topology, guard *reconcile.Guard, judge func(reconcile.Identity) rollout.Decision,
) (*Pass, error) {
	p := &Pass{At: time.Now(), Decision: judge(s.ID), Squatter: Squatter()}
	s.SetTrial(p.Decision.Trial, s.Source)
	if v := p.Decision; v.Topology == nil || v.Topology.Digest != t.Digest {
		return nil, fmt.Errorf("%s was changed by somebody else meanwhile: look at it, and try again", s.Paths.Topology)
	}
	if err := s.Source.Keep(&p.Decision); err != nil {
		return nil, err
	}
	view, err := s.Propose(t)
	if err != nil {
		return nil, err
	}
	view.Guard = guard
	if p.Plan, p.Err = s.Converge(view); p.Plan == nil {
		return nil, p.Err
	}
	p.Took = time.Since(p.At)
	return p, s.report(p)
}

// report writes the node's status, unless that is a daemon's business.
func (s *Session) report(p *Pass) error {
	if DaemonRuns(s.Paths) {
		return nil
	}
	before := inherit(s.Paths.Status)
	status := p.Status(before)
	status.Version, status.BootID = s.version, kernel.BootID()
	if before != nil {
		status.LastHealed = before.LastHealed
	}
	return WriteStatus(s.Paths.Status, status)
}
