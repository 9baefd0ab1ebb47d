// Package module names the kernel modules that a host lacks.
package module

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Missing returns the error that says what to do about a kernel that has not got what a module of it
// brings.
func Missing(what, name string) error {
	return fmt.Errorf("this kernel has no %s: modprobe %s, or install linux-modules-extra-%s; after a kernel upgrade: reboot", what, name, kernelRelease())
}

func kernelRelease() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "$(uname -r)"
	}
	return unix.ByteSliceToString(u.Release[:])
}
