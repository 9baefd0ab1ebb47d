package portmap

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(lab.RunnerFunc(func() int {
		if !slices.Contains(os.Args, "-test.fuzzworker") { // which executes no plugin, and has siblings
			if err := build(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				return 1
			}
		}
		return m.Run()
	})))
}

// build makes the plugins from the source that is tested, where the lab looks for them.
func build() error {
	bin := filepath.Join(os.TempDir(), "bin")
	if err := os.MkdirAll(filepath.Join(bin, "cni"), 0o755); err != nil {
		return err
	}
	for _, plugin := range []string{"portmap", "loopback"} {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "cni", plugin), "./cmd/cni/"+plugin)
		cmd.Dir, cmd.Env = lab.SourceTree(), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", plugin, err, out)
		}
	}
	return os.Setenv("PODNET_BIN", bin)
}
