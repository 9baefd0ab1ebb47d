package state

import (
	"path/filepath"
)

// Paths are the files of a node that podnet reads or writes.
type Paths struct {
	Root        string // in front of every default path
	Defaults    string // options of both programs
	Topology    string // what the operator writes
	LastGood    string // the last topology in force
	Pending     string // a trial of a topology, a directory
	RolledBack  string // digests of topologies that were rolled back
	Status      string
	Lock        string
	Conflist    string
	IPAMDataDir string // address leases, a directory for each network
	HostPorts   string // portmap's records of what it made for pods of podnet's own network, a directory
	// where the container runtime looks for plugins, if somebody has said so; "": its configuration
	// says it
	PluginDir string
	StateDir  string // podnet's alone: removed at teardown
	RunDir    string // likewise
}

// DefaultPaths are the fixed paths under root, which is "" or "/" on a real node.
func DefaultPaths(root string) Paths {
	at := func(p string) string { return filepath.Join("/", root, p) }
	return Paths{
		Root:        filepath.Join("/", root),
		Defaults:    at("/etc/default/podnetd"),
		Topology:    at("/etc/podnet/topology.yaml"),
		LastGood:    at("/var/lib/podnet/last-good.yaml"),
		Pending:     at("/var/lib/podnet/pending"),
		RolledBack:  at("/var/lib/podnet/rolled-back"),
		Status:      at("/run/podnet/status.json"),
		Lock:        at("/run/podnet/lock"),
		Conflist:    at("/etc/cni/net.d/10-podnet.conflist"),
		IPAMDataDir: at("/var/lib/cni/networks"),
		HostPorts:   at("/run/podnet/hostports"),
		StateDir:    at("/var/lib/podnet"),
		RunDir:      at("/run/podnet"),
	}
}
