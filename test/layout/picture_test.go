package layout

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// forPlugins are the packages of state that a plugin may import. What a plugin imports is most of
// its run time, so the drivers of podnetd are closed to it.
var forPlugins = []string{
	"state/device", "state/flock", "state/ipam", "state/netfilter", "state/netlink", "state/netns",
	"state/presence", "state/sysctl",
}

func TestPluginsStayLean(t *testing.T) {
	for file, paths := range imports(t, "cmd/cni/internal") {
		for _, path := range paths {
			inside := strings.TrimPrefix(path, module+"/")
			if under(inside, "schema", "state", "reconcile") && !slices.Contains(forPlugins, inside) {
				t.Errorf("%s imports %s: plugins import only %s", file, path, strings.Join(forPlugins, ", "))
			}
		}
	}
}

// packages are the directories of the product, each with the packages of the product that it
// imports.
func packages(t *testing.T) map[string][]string {
	all := map[string][]string{}
	for _, top := range order {
		for file, paths := range imports(t, top) {
			dir := filepath.Dir(file)
			all[dir] = append(all[dir], []string{}...)
			for _, path := range paths {
				inside, is := strings.CutPrefix(path, module+"/")
				if is && !slices.Contains(all[dir], inside) {
					all[dir] = append(all[dir], inside)
				}
			}
		}
	}
	return all
}

// floor is how many packages of the product stand below one on the longest way down.
func floor(dir string, all map[string][]string, known map[string]int) int {
	if n, is := known[dir]; is {
		return n
	}
	n := 0
	for _, below := range all[dir] {
		n = max(n, floor(below, all, known)+1)
	}
	known[dir] = n
	return n
}

// TestPicture prints the packages by floors: each imports packages of lower floors only. It fails
// if a list of this directory names a package that is not there.
func TestPicture(t *testing.T) {
	all, known := packages(t), map[string]int{}
	for _, dir := range slices.Concat(pure, forPlugins) {
		if _, is := all[dir]; !is {
			t.Errorf("%s is no package any more", dir)
		}
	}
	floors := map[int][]string{}
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		n := floor(dir, all, known)
		floors[n] = append(floors[n], dir)
	}
	for _, n := range slices.Sorted(maps.Keys(floors)) {
		t.Logf("floor %d", n)
		for _, dir := range floors[n] {
			mark := "      "
			if slices.Contains(pure, dir) {
				mark = "pure  "
			}
			t.Logf("  %s%-32s %s", mark, dir, strings.Join(slices.Sorted(slices.Values(all[dir])), " "))
		}
	}
}
