package state

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

// A pod's namespace may go between two questions: End takes the kernel's answer for that.
func TestNamespaceGone(t *testing.T) {
	n, err := Open(DefaultPaths(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if addrs, err := n.addrsIn(HostVeth{peer: 1, namespace: 4711}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("addresses in a namespace that is not there: %v, %v", addrs, err)
	}
}
