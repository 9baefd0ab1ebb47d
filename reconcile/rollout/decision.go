package rollout

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/schema"
)

// Origins of the topology in force.
const (
	OriginFile     = "file"
	OriginLastGood = "last-good"
	OriginTrial    = "trial"
)

// Decision is which topology the node has to follow.
type Decision struct {
	Topology *schema.Topology // nil: there is none yet
	Path     string           // where it was read
	Origin   string
	Previous *schema.Topology // the one in force until now; nil if there is none
	KeptAt   time.Time        // when that came into force
	OnDisk   document.OnDisk
	Trial    *Trial // under way; nil: there is none
	// Overdue is a trial whose time is up and which nothing has rolled back yet. Its topology is not
	// followed. It is nil if there is none.
	Overdue *Trial

	bytes    []byte // of Topology, if it has yet to be kept
	fallback origin // of Previous, for a node that cannot follow Topology
}

// origin is where a topology was read.
type origin struct{ path, kind string }

// Judge reads the files and decides which is to be followed: the one on disk if nothing is wrong
// with it and the guard lets it pass, else the one in force until now, which is the last good one
// or the one on trial. A file that is missing, or was removed, counts as one that is wrong. Judge
// writes nothing; see Keep.
func (s *Source) Judge(id reconcile.Identity) Decision { return s.judge(id, false) }

// Overrule is Judge for an operator who has been told what speaks against the file, and means it.
func (s *Source) Overrule(id reconcile.Identity) Decision { return s.judge(id, true) }

func (s *Source) judge(id reconcile.Identity, overrule bool) Decision {
	disk, file, err := s.read(s.paths.Topology)
	kept, v, lost := s.inForce(disk)
	v.OnDisk.Digest = file.digest
	if err == nil {
		_, err = id.Select(disk.topology)
	}
	if next := wellFormed(disk, err); next != nil && (kept == nil || kept.Digest != next.Digest) {
		v.OnDisk.Guard, err = s.guarded(&v, next, id, err)
	}
	if overrule && disk.topology != nil && errors.As(err, new(*Refused)) {
		err = nil
	}
	v.OnDisk.Reason, v.OnDisk.Message = refusal(err)
	if err != nil {
		if lost != nil && !errors.Is(lost, fs.ErrNotExist) {
			v.OnDisk.Message += fmt.Sprintf("; and the last good one is of no use: %v", lost)
		}
		return v
	}
	v.accept(disk.topology, file.data, s.paths.Topology)
	return v
}

// inForce is the decision for as long as nothing is known of the file on disk, and the last good
// topology, or why it cannot be read.
func (s *Source) inForce(disk parsed) (kept *schema.Topology, v Decision, lost error) {
	last, file, lost := s.read(s.paths.LastGood)
	v.fallback = origin{s.paths.LastGood, OriginLastGood}
	v.Previous = last.topology
	if file.data != nil {
		v.KeptAt = Modified(s.paths.LastGood)
	}
	var tried parsed
	if t := s.Trial(); t != nil && (last.topology == nil || last.topology.Digest != t.Digest) { // else it was confirmed
		if tried, _, _ = s.read(s.TrialTopology()); tried.topology == nil || s.over(t) {
			v.Overdue = t
		} else {
			v.Trial = t
		}
	}
	s.forget(last, disk, tried, s.given)
	if v.Trial != nil {
		v.Previous, v.fallback, v.KeptAt = tried.topology, origin{s.TrialTopology(),
			OriginTrial}, Modified(s.TrialRecord())
	}
	v.Topology, v.Path, v.Origin = v.Previous, v.fallback.path, v.fallback.kind
	return last.topology, v, lost
}

// accept follows the file on disk. What is not in force yet has to be kept.
func (v *Decision) accept(t *schema.Topology, data []byte, path string) {
	v.OnDisk.Accepted = true
	v.Topology, v.Path = t, path
	if v.Previous != nil && v.Previous.Digest == t.Digest {
		v.Previous = t
		if v.Trial == nil {
			v.Origin = OriginFile
		}
		return
	}
	v.Origin, v.bytes = OriginFile, data
}

// wellFormed is a topology with which nothing is wrong, or only its nodeCount: then the guard can
// tell what is missing.
func wellFormed(p parsed, err error) *schema.Topology {
	var bad *schema.Invalid
	if errors.As(err, &bad) {
		return bad.Miscounted
	}
	if err != nil {
		return nil
	}
	return p.topology
}

// guarded adds what speaks against a changed file to what was found so far. A file with the wrong
// nodeCount that the guard would let pass is invalid all the same.
func (s *Source) guarded(v *Decision, next *schema.Topology, id reconcile.Identity,
	found error) (*reconcile.Guard, error) {
	inForce := v.Previous
	if inForce != nil && inForce.Digest == next.Digest {
		return nil, found
	}
	g := s.rolledBack(next.Digest)
	if g == nil && v.Overdue != nil && v.Overdue.Digest == next.Digest {
		g = denial("it was on trial, and its time is over")
	}
	if g != nil {
		return g, &Refused{*g, ReasonRolledBack}
	}
	own, err := id.Select(next)
	if err != nil {
		return nil, found
	}
	verdict, err := reconcile.Protect(s.witness, own, inForce, next)
	switch {
	case err != nil:
		return nil, errors.Join(found, err)
	case verdict.Passes:
		return &verdict, found
	}
	var bad *schema.Invalid
	if errors.As(found, &bad) {
		verdict.Blame(bad)
	}
	return &verdict, &Refused{verdict, ReasonGuard}
}

// Refuse goes back to the topology in force until now, because this node cannot follow the file on
// disk: err says why.
func (v *Decision) Refuse(err error) {
	v.Topology, v.Path, v.Origin, v.bytes = v.Previous, v.fallback.path, v.fallback.kind, nil
	v.OnDisk.Accepted, v.OnDisk.Reason, v.OnDisk.Message = false, ReasonImpossible, err.Error()
}

// Fresh says that the decision's topology has not been in force before.
func (v *Decision) Fresh() bool { return v.bytes != nil }
