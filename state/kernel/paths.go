package kernel

import (
	"errors"
	"path/filepath"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
)

// RemoveTemporaries removes what killed processes have left of files that they were about to put in
// place; see RemoveTemporary. What they have left of a trial goes with that.
func RemoveTemporaries(p state.Paths) error {
	topology := p.Topology
	if target, err := filepath.EvalSymlinks(topology); err == nil {
		topology = target
	}
	var failed error
	for _, path := range []string{topology, p.Conflist, p.LastGood, p.RolledBack, p.Status} {
		failed = errors.Join(failed, files.RemoveTemporary(path))
	}
	return failed
}
