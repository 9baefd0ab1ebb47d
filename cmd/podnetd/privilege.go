package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// privileged returns a sentence that names what is missing to change the network.
func privileged() error {
	if os.Geteuid() != 0 {
		return errors.New("must run as root (uid 0) with CAP_NET_ADMIN and CAP_NET_RAW: it writes the conflist, sysctls and iptables rules")
	}
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	for bit, name := range map[int]string{unix.CAP_NET_ADMIN: "CAP_NET_ADMIN", unix.CAP_NET_RAW: "CAP_NET_RAW"} {
		if data[bit/32].Effective&(1<<(bit%32)) == 0 {
			return fmt.Errorf("lacks the capability %s (systemd: CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW)", name)
		}
	}
	return nil
}
