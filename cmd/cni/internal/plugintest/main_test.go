package plugintest

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/bridge"
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/loopback"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	// The plugins' code is linked into this program too: go test must not answer from its cache
	// when only that changed.
	fmt.Fprint(io.Discard, bridge.Verbs(), hostlocal.Verbs(), loopback.Verbs())
	os.Exit(lab.Isolate(lab.WithPlugins(m, "bridge", "host-local", "loopback")))
}

// reference is the directory of the reference plugins; the test is skipped where there is none.
func reference(t *testing.T) string {
	t.Helper()
	dir, err := lab.ReferencePlugins()
	if err != nil {
		t.Skip(err)
	}
	return dir
}
