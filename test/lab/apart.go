package lab

import (
	"errors"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Apart puts the calling test's goroutine into a network namespace for itself alone, which has
// nothing but a loopback link that is down. The thread ends with the goroutine, and the namespace
// with it. Who may make none skips the test.
func Apart(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) {
		t.Skip("needs a network namespace of its own, and so root: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
}

// Sh executes a command of words without quotes in the caller's network namespace and returns what
// it printed.
func Sh(t testing.TB, command string) string {
	t.Helper()
	words := strings.Fields(command)
	out, err := exec.Command(words[0], words[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	return string(out)
}
