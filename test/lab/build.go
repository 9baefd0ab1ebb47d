package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// WithPlugins is r on CNI plugins that are built from the source that is tested, in isolation,
// where Program finds them:
//
//	func TestMain(m *testing.M) { os.Exit(lab.Isolate(lab.WithPlugins(m, "portmap"))) }
func WithPlugins(r Runner, plugins ...string) Runner {
	return RunnerFunc(func() int {
		if fuzzWorker() || missing != "" { // which execute no plugin
			return r.Run()
		}
		if err := buildPlugins(plugins); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return r.Run()
	})
}

func buildPlugins(plugins []string) error {
	bin := filepath.Join(os.TempDir(), "bin")
	if err := os.MkdirAll(filepath.Join(bin, "cni"), 0o755); err != nil {
		return err
	}
	for _, plugin := range plugins {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "cni", plugin), "./cmd/cni/"+plugin)
		cmd.Dir, cmd.Env = SourceTree(), append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", plugin, err, out)
		}
	}
	return os.Setenv("PODNET_BIN", bin)
}
