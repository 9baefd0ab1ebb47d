package main

import (
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/files"
)

// truster warns of files that others can change, once for each topology that arrives: whoever
// writes them rules the network.
type truster struct {
	paths  state.Paths
	log    *slog.Logger
	digest string
	once   bool
}

func (t *truster) passed(s *document.NodeStatus) {
	if t.once && t.digest == s.Topology.OnDisk.Digest {
		return
	}
	t.once, t.digest = true, s.Topology.OnDisk.Digest
	p := t.paths
	for _, u := range files.Trust(p.Topology, p.Defaults, p.LastGood, p.Conflist, filepath.Dir(p.Conflist)) {
		t.log.Warn("a file that podnet obeys can be changed by others", "path", u.Path, "why", u.Why, "remedy", u.Remedy)
	}
}

// warnOpen warns of a listener that others than this host reach: it asks nobody who he is.
func warnOpen(log *slog.Logger, flag, address string) {
	host, _, err := net.SplitHostPort(address)
	if err != nil { // nowhere, or not an address, which the listener says
		return
	}
	if a, err := netip.ParseAddr(host); host == "localhost" || err == nil && a.IsLoopback() {
		return
	}
	log.Warn("served to everybody who reaches the address, who may be a stranger (a loopback address serves this host alone)", "flag", flag, "address", address)
}
