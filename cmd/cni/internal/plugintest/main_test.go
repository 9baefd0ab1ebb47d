package plugintest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/podnet/podnet/cmd/cni/internal/bridge"
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/loopback"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(lab.RunnerFunc(func() int {
		if err := build(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	})))
}

// build makes the plugins from the source that is tested, where the lab looks for them.
func build() error {
	// The plugins' code is linked into this program too: go test must not answer from its cache when only that changed.
	fmt.Fprint(io.Discard, bridge.Verbs(), hostlocal.Verbs(), loopback.Verbs())
	bin := filepath.Join(os.TempDir(), "bin")
	if err := os.MkdirAll(filepath.Join(bin, "cni"), 0o755); err != nil {
		return err
	}
	for _, plugin := range []string{"bridge", "host-local", "loopback"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "cni", plugin), "./cmd/cni/"+plugin)
		cmd.Dir, cmd.Env = lab.SourceTree(), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", plugin, err, out)
		}
	}
	return os.Setenv("PODNET_BIN", bin)
}

// reference is the directory of the reference plugins; the test is skipped where there is none.
func reference(t *testing.T) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("PODNET_REFERENCE_CNI"), filepath.Join(lab.SourceTree(), "bin/reference/v1.9.1")} {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); dir != "" && err == nil {
			return dir
		}
	}
	t.Skip("the reference plugins are not there: make reference, or name their directory in PODNET_REFERENCE_CNI")
	return ""
}
