package main

import (
	"math"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// detach starts this program again as a process of its own: another session, nothing open but
// /dev/null, and nobody who waits for it.
func detach(args []string) error {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "podnetctl"
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	// What this process got from its parent must not stay open there: a caller that waits for the
	// end of a pipe would wait for the end of the trial. A kernel before 5.11 does not know the
	// call, and then they stay.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}
