// A process of a few milliseconds has no use for the processor quota of its cgroup, nor for names
// of its memory: what the runtime does for these is a tenth of its start.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0

// Loopback is the CNI plugin that sets up lo in a pod.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/loopback"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main("loopback", version, loopback.Verbs()) }
