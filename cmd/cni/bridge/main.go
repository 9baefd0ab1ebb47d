// A process of a few milliseconds has no use for the processor quota of its cgroup, nor for names
// of its memory: what the runtime does for these is a tenth of its start.
//
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0
//go:debug decoratemappings=0

// Bridge is the CNI plugin that connects a pod to a bridge.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/bridge"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main("bridge", version, bridge.Verbs()) }
