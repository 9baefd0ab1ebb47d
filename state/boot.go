package state

import (
	"os"
	"strings"
)

// BootID tells one boot of the kernel from another; "" where it cannot be read.
func BootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
