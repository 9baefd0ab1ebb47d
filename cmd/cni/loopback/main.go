// Loopback is the CNI plugin that sets up lo in a pod.
package main

import (
	"github.com/podnet/podnet/cmd/cni/internal/loopback"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

var version = "unknown" // set by the linker

func main() { protocol.Main("loopback", version, loopback.Verbs()) }
