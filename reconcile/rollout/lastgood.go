package rollout

import (
	"github.com/podnet/podnet/state/files"
)

// NotKept is the error of a topology that cannot come into force, because it could not be kept as
// the last good one.
type NotKept struct{ Err error }

func (e *NotKept) Error() string { return "keep the topology in force: " + e.Err.Error() }
func (e *NotKept) Unwrap() error { return e.Err }

// Keep makes the decision's topology the last good one, before anything is changed for it: a node
// that dies on the way goes on where it was. Nothing is written if it is that already, or on trial:
// going back needs no room. A trial that is under way ends with another file.
func (s *Source) Keep(v *Decision) error {
	if v.bytes == nil {
		return nil
	}
	if !s.isLastGood(v.Topology.Digest) {
		if err := s.replaceLastGood(v.bytes); err != nil {
			return &NotKept{err}
		}
	}
	v.bytes, v.KeptAt = nil, Modified(s.paths.LastGood)
	if v.Trial == nil {
		return nil
	}
	v.Trial = nil
	return s.drop()
}

// isLastGood reports whether the last good topology has the digest.
func (s *Source) isLastGood(digest string) bool {
	kept, err := s.files.read(s.paths.LastGood)
	return err == nil && kept.digest == digest
}

// replaceLastGood writes the last good topology. Nothing else does.
func (s *Source) replaceLastGood(data []byte) error {
	return files.ReplaceFile(s.paths.LastGood, data, 0o644)
}
