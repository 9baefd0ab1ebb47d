// Podnetctl checks topologies, says what podnet would do on this node, does it, and says how the
// node is.
package main

import (
	"io"
	"os"
)

// version is set by the linker.
var version = "devel"

func main() {
	trustNoPath()
	os.Exit(run(os.Args[1:], process{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv, detach: detach}))
}

// process is what podnetctl has of its surroundings.
type process struct {
	in       io.Reader
	out, err io.Writer
	env      func(string) (string, bool)
	detach   func(args []string) error // starts podnetctl as a process of its own
}

// trustNoPath looks for the programs that podnetctl executes in the system's directories alone
// where sudo has started it: PATH may still be the caller's, and they run as root.
func trustNoPath() {
	if _, sudo := os.LookupEnv("SUDO_UID"); sudo {
		os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
	}
}
