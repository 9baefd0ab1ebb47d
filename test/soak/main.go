// Command soak runs a node for a long time under everything that happens to one: pods come and go,
// the topology is edited, and somebody damages what podnet owns. It watches what podnetd holds
// meanwhile (memory, descriptors, goroutines) and says whether that is flat, and whether the node
// ends as it began.
package main

import (
	"flag"
	"os"
	"time"

	"github.com/podnet/podnet/test/lab"
)

func main() {
	lasts := flag.Duration("for", 20*time.Minute, "how long")
	peers := flag.Int("peers", 1000, "peers of the node")
	os.Exit(lab.Main(func(t lab.TB) {
		flag.Parse()
		if err := lab.RequirePrograms("podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback"); err != nil {
			t.Fatalf("%v", err)
		}
		soak(t, *lasts, *peers)
	}))
}
