package reconcile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
	"golang.org/x/sys/unix"
)

// maxFile is the size from which schema refuses a file; no more is read.
const maxFile = 64<<20 + 1

// Why a file on disk is not in force.
const (
	ReasonMissing = "Missing"
	ReasonInvalid = "Invalid"
	ReasonNoEntry = "NoEntry"
	ReasonUnsure  = "UnsureIdentity"

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
	paths  state.Paths
	parsed map[string]parsed // by digest; the two of the last verdict
}

type parsed struct {
	topology *schema.Topology
	err      error
}

// NewSource reads the files of a node.
func NewSource(paths state.Paths) *Source { return &Source{paths: paths, parsed: map[string]parsed{}} }

// Judge reads both files and decides which is to be followed: the one on disk if nothing is wrong with it, else the last
// one in force. It writes nothing; see Keep.
func (s *Source) Judge(id Identity) Verdict {
	disk, diskData, err := s.read(s.paths.Topology)
	kept, keptData, _ := s.read(s.paths.LastGood) // unreadable: there is none
	s.forget(kept, disk)
	v := Verdict{Previous: kept.topology, Topology: kept.topology, Path: s.paths.LastGood, Origin: OriginLastGood}
	if keptData != nil {
		v.KeptAt = Modified(s.paths.LastGood)
	}
	if diskData != nil {
		v.OnDisk.Digest = schema.Digest(diskData)
	}
	if err == nil {
		_, err = id.Select(disk.topology)
	}
	v.OnDisk.Reason, v.OnDisk.Message = refusal(err)
	if err != nil {
		return v
	}
	v.OnDisk.Accepted = true
	v.Topology, v.Path, v.Origin = disk.topology, s.paths.Topology, OriginFile
	if kept.topology == nil || kept.topology.Digest != disk.topology.Digest {
		v.bytes = diskData
	} else {
		v.Previous = disk.topology
	}
	return v
}

// refusal puts an error into a word and a sentence.
func refusal(err error) (reason, message string) {
	var entry *NoEntryError
	switch {
	case err == nil:
		return "", ""
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

// read parses a file, unless its content is known. data is nil if it could not be read.
func (s *Source) read(path string) (p parsed, data []byte, err error) {
	data, err = readRegular(path)
	if err != nil {
		return parsed{}, nil, err
	}
	digest := schema.Digest(data)
	p, known := s.parsed[digest]
	if !known {
		p.topology, p.err = schema.Parse(path, data)
		s.parsed[digest] = p
	}
	return p, data, p.err
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

// readRegular is ReadTopology of a file that has to be one: a pipe in its place would hold the reader up for ever.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: fmt.Errorf("is not a file but %s", info.Mode().Type())}
	}
	if err != nil {
		return nil, err
	}
	return ReadTopology(path)
}

// ReadTopology reads a topology file as far as one can be long.
func ReadTopology(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err == nil && data == nil {
		data = []byte{}
	}
	return data, err
}

// Modified is when a file was last changed; the zero time if it is not there.
func Modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
