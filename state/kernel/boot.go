package kernel

import (
	"time"

	"github.com/podnet/podnet/state/sysctl"
	"golang.org/x/sys/unix"
)

// BootID tells one boot of the kernel from another; "" where it cannot be read.
func BootID() string {
	id, _ := sysctl.Read("kernel/random/boot_id") // nothing where it cannot
	return id
}

// SinceBoot is the time since the kernel booted, suspended time included. Setting the clock does
// not change it.
func SinceBoot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return 0 // it is there since Linux 2.6.39
	}
	return time.Duration(t.Nano())
}
