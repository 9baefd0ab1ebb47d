package faults

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// A process that removes three files with one call each, killed at each of its calls, has removed
// one less than it entered calls: the last one was not carried out.
func TestTracerKillsBeforeTheCall(t *testing.T) {
	ns := lab.NewNamespace(t, "tracer")
	for n, want := range []int{0, 3, 2, 1, 0} { // files that are left; n = 0 kills nowhere
		dir := t.TempDir()
		names := []string{dir + "/a", dir + "/b", dir + "/c"}
		for _, name := range names {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command("rm", names...)
		cmd.Stdin = strings.NewReader("")
		got, err := trace(ns, cmd, n)
		if err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if killed := n > 0 && n <= 3; len(left) != want || got.killed != killed || !killed && got.code != 0 {
			t.Errorf("killed at call %d: %+v, %d files are left, want %d", n, got, len(left), want)
		}
	}
}
