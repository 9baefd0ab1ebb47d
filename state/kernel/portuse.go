package kernel

import (
	"fmt"
	"os"
	"strings"
)

// HasListener reports whether a process of this network namespace takes connections, or datagrams, at a
// port on any address.
func HasListener(protocol string, port uint16) bool {
	state := map[string]string{"tcp": "0A", "udp": "07"}[protocol] // TCP_LISTEN; a UDP socket that is connected to nobody
	for _, table := range []string{protocol, protocol + "6"} {
		data, _ := os.ReadFile("/proc/thread-self/net/" + table) // one that is not there has no sockets
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == state {
				return true
			}
		}
	}
	return false
}
