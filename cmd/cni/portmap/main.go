// Portmap is the CNI plugin that forwards ports of the host to a pod.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/portmap"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main("portmap", version, portmap.Verbs()) }
