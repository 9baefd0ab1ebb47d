package agent

import (
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
)

// Session is one node for one verb of the command line: the engine, the topology files, and the
// decision on them when they were last judged. Apply, Confirm, Rollback and Remove change the node,
// and their caller holds the node's lock. Everything else only looks, and needs no lock.
type Session struct {
	*Engine
	Source   *rollout.Source
	ID       reconcile.Identity
	Decision rollout.Decision
	version  string // of the program, for the status
}

// Refusal is the error of a verb that the state of the node forbids. Nothing has changed.
type Refusal struct{ Reason string }

func (r *Refusal) Error() string { return r.Reason }

// OpenSession opens the node in the calling thread's network namespace and judges its files.
func OpenSession(settings Settings, version string) (*Session, error) {
	engine, err := Open(settings)
	if err != nil {
		return nil, err
	}
	s := &Session{Engine: engine, Source: rollout.NewSource(settings.Paths, engine.Kernel()), version: version}
	if err := s.Judge(); err != nil {
		engine.Close()
		return nil, err
	}
	return s, nil
}

// Judge asks the host anew who it is and judges the files anew: others may have changed either.
func (s *Session) Judge() error {
	var err error
	if s.ID, err = s.Engine.Identity(); err != nil {
		return err
	}
	s.Decision = s.Source.Judge(s.ID)
	s.SetTrial(s.Decision.Trial, s.Source)
	return nil
}

// Followed is the topology in force, or the one that will be if nothing ever was. It is nil if
// there is neither.
func (s *Session) Followed() *schema.Topology { return s.until(s.Decision.Topology) }

// InForce is where the topology in force can be read: in the operator's place if it is the same
// there. It is the zero FileRef if nothing is in force.
func (s *Session) InForce() document.FileRef {
	previous := s.Decision.Previous
	if previous == nil {
		return document.FileRef{}
	}
	ref := document.FileRef{Path: s.Paths.LastGood, Digest: previous.Digest}
	switch {
	case s.Decision.OnDisk.Digest == previous.Digest:
		ref.Path = s.Paths.Topology
	case s.Decision.Trial != nil:
		ref.Path = s.Source.TrialTopology()
	}
	return ref
}

// Propose computes what t asks of the node, and what the topology in force has asked for until now.
func (s *Session) Propose(t *schema.Topology) (reconcile.View, error) {
	return s.View(s.ID, t, s.Decision.Previous)
}

// Compare compares the node with a topology that is taken to be in force.
func (s *Session) Compare(t *schema.Topology) (*reconcile.Plan, error) {
	view, err := s.View(s.ID, t, t)
	if err != nil {
		return nil, err
	}
	return s.Look(view)
}

// Remaining is what there is to do for the topology that is to be followed, or, if there is none,
// what there is to remove.
func (s *Session) Remaining() (*reconcile.Plan, error) {
	if t := s.Decision.Topology; t != nil {
		return s.Compare(t)
	}
	return s.Look(s.bare())
}

// Pods counts the pods on the bridge of the topology in force, or on that of t if nothing is in
// force. It returns -1 if that cannot be found out.
func (s *Session) Pods(t *schema.Topology) int {
	count, err := s.Kernel().Pods(s.until(t).Network.Bridge.Name)
	if err != nil {
		return -1
	}
	return count
}

// until is the topology in force, or t if nothing is in force.
func (s *Session) until(t *schema.Topology) *schema.Topology {
	if s.Decision.Previous != nil {
		return s.Decision.Previous
	}
	return t
}

// Objections is the guard's verdict on a topology that has an entry for this node. given says that
// an operator asks for the topology by name: then it does not count that it was rolled back.
func (s *Session) Objections(t *schema.Topology, given bool) (reconcile.Guard, error) {
	if disk := s.Decision.OnDisk; !given && disk.Guard != nil && disk.Reason == rollout.ReasonRolledBack {
		return *disk.Guard, nil
	}
	own, err := s.ID.Select(t)
	if err != nil {
		return reconcile.Guard{}, err
	}
	return reconcile.Protect(s.Kernel(), own, s.Decision.Previous, t)
}
