// Package privilege tells whether a process may do what podnet does.
package privilege

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Check is nil for root with CAP_NET_ADMIN and CAP_NET_RAW: without, neither iptables nor the
// bridge's table can even be read. Otherwise it names what is missing.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("must run as root with CAP_NET_ADMIN and CAP_NET_RAW")
	}
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for bit, name := range [...]string{unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_NET_RAW: "CAP_NET_RAW"} {
		if name != "" && data[0].Effective&(1<<bit) == 0 {
			return fmt.Errorf("must run as root with CAP_NET_ADMIN and CAP_NET_RAW: it lacks the capability %s", name)
		}
	}
	return nil
}
