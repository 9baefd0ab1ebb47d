package rollout

import (
	"errors"
	"os"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state"
)

// Source reads the topology on disk and the last one in force. A file is parsed once for each
// change of its content.
type Source struct {
	paths   state.Paths
	witness reconcile.Witness
	files   contents
	parsed  map[string]parsed // by digest; those of the last decision, and the one that was given
	given   parsed
	clock   func() Instant
}

type parsed struct {
	topology *schema.Topology
	err      error
}

// NewSource reads the files of a node.
func NewSource(paths state.Paths, witness reconcile.Witness) *Source {
	return &Source{paths: paths, witness: witness, files: contents{}, parsed: map[string]parsed{}, clock: now}
}

// read parses a file, unless its content is known. Where the file in place and another hold the
// same, it is the one in place that messages name: it is there that people look.
func (s *Source) read(path string) (parsed, content, error) {
	c, err := s.files.read(path)
	if err != nil {
		return parsed{}, content{}, err
	}
	p := s.parse(path, c)
	if path == s.paths.Topology && p.topology != nil && p.topology.File != path {
		renamed := *p.topology
		renamed.File = path
		p.topology = &renamed
		s.parsed[c.digest] = p
	}
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

// Parse is schema.Parse, but for a content that the source knows, and then for the source to know
// it: a file that is about to be put in place is parsed once.
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

// forget drops what is not needed any more.
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
