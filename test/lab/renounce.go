package lab

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// powers are the capabilities that change a host's network, its mounts and what its processes may
// do.
var powers = []uintptr{unix.CAP_NET_ADMIN, unix.CAP_NET_RAW, unix.CAP_SYS_ADMIN, unix.CAP_SYS_MODULE}

// renounce executes this program anew without these capabilities, of which its children get none
// either, if it is root's and has them: a test without isolation that forgot to call Need fails,
// and the host stays as it is.
func renounce() error {
	has, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, unix.CAP_NET_ADMIN, 0, 0, 0)
	if os.Geteuid() != 0 || has == 0 || err != nil {
		return err
	}
	runtime.LockOSThread() // what is dropped is the thread's, and it is this thread that executes
	defer runtime.UnlockOSThread()
	for _, c := range powers {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}
