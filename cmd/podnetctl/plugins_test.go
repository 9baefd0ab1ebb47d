package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/cmd/podnetctl/internal/screen"
	"github.com/podnet/podnet/state/runtimes"
	"github.com/podnet/podnet/test/lab"
)

// The runtime's plugins are told apart by what they are, and their versions are read from the
// files, once for each.
func TestLookAtPlugins(t *testing.T) {
	dir, known := t.TempDir(), pluginPrograms{}
	for _, name := range plugins()[:2] {
		program, err := os.ReadFile(lab.Program("cni/" + name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), program, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	said, err := exec.Command(dir + "/bridge").CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	version := strings.Fields(string(said))[4] // podnet CNI plugin bridge VERSION
	if d := cmp.Diff(screen.Plugins{Missing: plugins()[2:], Where: dir, Versions: []string{version}}, known.look(look(dir))); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	write(t, dir+"/loopback", "#!/bin/sh\n")
	for name, mode := range map[string]os.FileMode{"bridge": 0o644, "loopback": 0o755} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
	}
	want := screen.Plugins{Missing: []string{"portmap"}, Where: dir, Locked: []string{dir + "/bridge"}, Foreign: []string{"loopback"}, Versions: []string{version}}
	if d := cmp.Diff(want, known.look(look(dir))); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// look is what a runtime finds that looks in one directory.
func look(dir string) []runtimes.Lookup {
	return []runtimes.Lookup{runtimes.Runtime{PluginDirs: []string{dir}}.Look("/", "/etc/cni/net.d", plugins())}
}
