// Host-local is the CNI plugin that gives addresses out of ranges of this node.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main(hostlocal.Type, version, hostlocal.Verbs()) }
