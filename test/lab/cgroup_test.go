package lab

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// The cgroups of a lab that was killed go when another begins; those that are in use, by a lab or
// by a process, stay.
func TestRemoveLeftGroups(t *testing.T) {
	parent := groupParents()[0]
	ns, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	path := func(what string) string {
		return filepath.Join(parent, groupName+what+"-"+ns)
	}
	groups := map[string]*group{}
	for _, what := range []string{"left", "held"} {
		g, err := newGroup(path(what))
		if errors.Is(err, fs.ErrPermission) {
			t.Skipf("this needs root: %v", err)
		} else if err != nil {
			t.Fatal(err)
		}
		defer g.remove()
		groups[what] = g
		if err := os.Mkdir(filepath.Join(path(what), "init.scope"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	groups["left"].lock.Close()
	removeLeftGroups(parent)
	if _, err := os.Stat(path("left")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("still there: %s, %v", path("left"), err)
	}
	if _, err := os.Stat(filepath.Join(path("held"), "init.scope")); err != nil {
		t.Error(err)
	}
}
