package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/reconcile/rollout"
	"github.com/podnet/podnet/schema"
)

// furnish adds what only a person reads: what surrounds podnet, and what is in a refused file.
func (n *node) furnish(s *screen.Status) {
	s.ConflistPath, s.FirstConflist = n.Paths.Conflist, firstConflist(filepath.Dir(n.Paths.Conflist))
	found := lookups(n.Paths)
	s.Plugins = n.plugins.look(found.Lookups)
	_, s.Runtimes = troubles(n.Paths, s.Network, found)
	s.TopologyPath = n.Paths.Topology
	if t := n.Decision.Previous; t != nil {
		s.InForceNodes = len(t.Nodes)
	}
	if s.Topology.OnDisk.Digest == "" || s.Topology.OnDisk.Accepted {
		return
	}
	s.OnDiskWritten = rollout.Modified(n.Paths.Topology)
	if data, err := rollout.ReadTopology(n.Paths.Topology); err == nil {
		s.OnDiskNodes = nodeCount(data)
	}
}

// nodeCount is how many entries a file has, whatever they are worth.
func nodeCount(data []byte) int {
	t, err := schema.Parse("", data)
	var bad *schema.Invalid
	if errors.As(err, &bad) {
		return bad.Nodes
	}
	return len(t.Nodes)
}

// firstConflist is the name of the configuration that a container runtime takes: the first in the
// order of names.
func firstConflist(dir string) string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return ""
	}
	for _, e := range entries { // in the order of their names
		if slices.Contains([]string{".conf", ".conflist", ".json"}, strings.ToLower(filepath.Ext(e.Name()))) {
			return e.Name()
		}
	}
	return ""
}
