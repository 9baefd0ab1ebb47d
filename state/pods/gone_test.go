package pods

import (
	"errors"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"golang.org/x/sys/unix"
)

// A pod's namespace may go between two questions: End takes the kernel's answer for that.
func TestNamespaceGone(t *testing.T) {
	n, err := kernel.Open(state.DefaultPaths(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	if addrs, err := n.AddrsIn(kernel.HostVeth{Peer: 1, Namespace: 4711}); !errors.Is(err, unix.EINVAL) {
		t.Errorf("addresses in a namespace that is not there: %v, %v", addrs, err)
	}
}
