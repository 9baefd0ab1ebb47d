package reconcile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// maxFile is the size from which schema refuses a file; no more is read.
const maxFile = 64<<20 + 1

// Why a file on disk is not in force.
const (
	ReasonMissing = "Missing"
	ReasonInvalid = "Invalid"
	ReasonNoEntry = "NoEntry"
	ReasonUnsure  = "UnsureIdentity"

	ReasonGuard      = "RemovalGuard"
	ReasonUnreadable = "Unreadable"
	ReasonImpossible = "Impossible" // this node cannot follow it
)

// Origins of the topology in force.
const (
	OriginFile     = "file"
	OriginLastGood = "last-good"
)

// OnDisk is what there is to say of the file that the operator writes.
type OnDisk struct {
	Digest   string `json:"digest,omitempty"` // empty: there is no file
	Accepted bool   `json:"accepted"`
	Reason   string `json:"reason,omitempty"`  // one word; empty if accepted
	Message  string `json:"message,omitempty"` // a sentence with the line and what to do
	Guard    *Guard `json:"-"`                 // what the guard says of a file that it has seen; nil: it has not
}

// Verdict is which topology the node has to follow.
type Verdict struct {
	Topology *schema.Topology // nil: there is none yet
	Path     string           // where it was read
	Origin   string
	Previous *schema.Topology // the last one in force, as kept; nil if there is none
	KeptAt   time.Time        // when that came into force
	OnDisk   OnDisk

	bytes []byte // of Topology, if it has yet to be kept
}

// Source reads the topology on disk and the last one in force. A file is parsed once for each change of its content.
type Source struct {
	paths   state.Paths
	witness Witness
	files   contents
	parsed  map[string]parsed // by digest; the two of the last verdict, and the one that was given
	given   parsed
}

// Witness is what the guard has to know of the live node. state.Node is the real one.
type Witness interface {
	Pods(bridge string) (int, error)
	Owned(some ...state.Kind) (*state.Live, error)
}

type parsed struct {
	topology *schema.Topology
	err      error
}

// NewSource reads the files of a node.
func NewSource(paths state.Paths, witness Witness) *Source {
	return &Source{paths: paths, witness: witness, files: contents{}, parsed: map[string]parsed{}}
}

// Judge reads both files and decides which is to be followed: the one on disk if nothing is wrong with it and the guard
// lets it pass, else the last one in force. It writes nothing; see Keep.
func (s *Source) Judge(id Identity) Verdict { return s.judge(id, false) }

// Overrule is Judge for an operator who has been told what the guard says, and means it.
func (s *Source) Overrule(id Identity) Verdict { return s.judge(id, true) }

func (s *Source) judge(id Identity, overrule bool) Verdict {
	disk, diskFile, err := s.read(s.paths.Topology)
	kept, keptFile, lost := s.read(s.paths.LastGood)
	s.forget(kept, disk, s.given)
	v := Verdict{Previous: kept.topology, Topology: kept.topology, Path: s.paths.LastGood, Origin: OriginLastGood}
	if keptFile.data != nil {
		v.KeptAt = Modified(s.paths.LastGood)
	}
	v.OnDisk.Digest = diskFile.digest
	if err == nil {
		_, err = id.Select(disk.topology)
	}
	if next := wellFormed(disk, err); next != nil {
		v.OnDisk.Guard, err = s.guarded(kept.topology, next, id, err)
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
	v.OnDisk.Accepted = true
	v.Topology, v.Path, v.Origin = disk.topology, s.paths.Topology, OriginFile
	if kept.topology == nil || kept.topology.Digest != disk.topology.Digest {
		v.bytes = diskFile.data
	} else {
		v.Previous = disk.topology
	}
	return v
}

// wellFormed is a topology with which nothing is wrong, or only its nodeCount: then the guard can tell what is missing.
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

// guarded adds the guard's verdict on a changed file to what was found so far. A file with the wrong nodeCount that the
// guard would let pass is invalid all the same.
func (s *Source) guarded(inForce, next *schema.Topology, id Identity, found error) (*Guard, error) {
	if inForce != nil && inForce.Digest == next.Digest {
		return nil, found
	}
	own, err := id.Select(next)
	if err != nil {
		return nil, found
	}
	g, err := Protect(s.witness, own, inForce, next)
	switch {
	case err != nil:
		return nil, errors.Join(found, err)
	case g.Passes:
		return &g, found
	}
	var bad *schema.Invalid
	if errors.As(found, &bad) {
		g.blame(bad)
	}
	return &g, &Refused{g}
}

// refusal puts an error into a word and a sentence.
func refusal(err error) (reason, message string) {
	var entry *NoEntryError
	switch {
	case err == nil:
		return "", ""
	case errors.As(err, new(*Refused)):
		return ReasonGuard, err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return ReasonMissing, err.Error() + " (put the topology there)"
	case errors.As(err, new(*fs.PathError)):
		return ReasonUnreadable, err.Error() + " (it has to be a file that root can read)"
	case errors.As(err, new(*schema.Invalid)):
		return ReasonInvalid, err.Error()
	case errors.As(err, &entry):
		return ReasonNoEntry, err.Error()
	}
	return ReasonUnsure, err.Error()
}

// Refuse goes back to the last topology in force, because this node cannot follow the file on disk: err says why.
func (v *Verdict) Refuse(path string, err error) {
	v.Topology, v.Path, v.Origin, v.bytes = v.Previous, path, OriginLastGood, nil
	v.OnDisk.Accepted, v.OnDisk.Reason, v.OnDisk.Message = false, ReasonImpossible, err.Error()
}

// Fresh says that the verdict's topology has not been in force before.
func (v *Verdict) Fresh() bool { return v.bytes != nil }

// Keep makes the verdict's topology the last one in force, before anything is changed for it: a node that dies on the way
// goes on where it was. Nothing happens if it is that already.
func (s *Source) Keep(v *Verdict) error {
	if v.bytes == nil {
		return nil
	}
	if err := state.ReplaceFile(s.paths.LastGood, v.bytes, 0o644); err != nil {
		return fmt.Errorf("keep the topology in force: %w", err)
	}
	v.bytes, v.KeptAt = nil, Modified(s.paths.LastGood)
	return nil
}

// read parses a file, unless its content is known.
func (s *Source) read(path string) (parsed, content, error) {
	c, err := s.files.read(path)
	if err != nil {
		return parsed{}, content{}, err
	}
	p := s.parse(path, c)
	return p, c, p.err
}

func (s *Source) parse(name string, c content) parsed {
	p, known := s.parsed[c.digest]
	if !known {
		p.topology, p.err = schema.Parse(name, c.data)
		s.parsed[c.digest] = p
	}
	return p
}

// Parse is schema.Parse, but for a content that the source knows, and then for the source to know it: a file that is about
// to be put in place is parsed once.
func (s *Source) Parse(name string, data []byte) (*schema.Topology, error) {
	s.given = s.parse(name, content{data, schema.Digest(data)})
	var bad *schema.Invalid
	switch {
	case errors.As(s.given.err, &bad) && bad.File != name:
		renamed := *bad
		renamed.File = name
		return nil, &renamed
	case s.given.topology != nil && s.given.topology.File != name:
		renamed := *s.given.topology
		renamed.File = name
		return &renamed, nil
	}
	return s.given.topology, s.given.err
}

// forget drops what neither file holds any more.
func (s *Source) forget(keep ...parsed) {
	for digest, p := range s.parsed {
		used := false
		for _, k := range keep {
			used = used || k == p
		}
		if !used {
			delete(s.parsed, digest)
		}
	}
}

// Modified is when a file was last changed; the zero time if it is not there.
func Modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
