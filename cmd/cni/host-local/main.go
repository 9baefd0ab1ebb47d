// A process of a few milliseconds has no use for the processor quota of its cgroup, nor for names
// of its memory: what the runtime does for these is a tenth of its start.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0

// Host-local is the CNI plugin that gives addresses out of ranges of this node.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main(hostlocal.Type, version, hostlocal.Verbs()) }
