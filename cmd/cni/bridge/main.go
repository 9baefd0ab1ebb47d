// Bridge is the CNI plugin that connects a pod to a bridge.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/bridge"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main("bridge", version, bridge.Verbs()) }
