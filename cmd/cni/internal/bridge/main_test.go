package bridge_test

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/loopback"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	// The code of loopback is linked into this program as that of the other two is: go test must not
	// answer from its cache when only that changed.
	fmt.Fprint(io.Discard, loopback.Verbs())
	os.Exit(lab.Isolate(lab.WithPlugins(m, "bridge", "host-local", "loopback")))
}
