// Package layout holds the tests that keep the source tree in its shape.
package layout

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "github.com/podnet/podnet"
	root   = "../.."
)

// order is the way imports go: a package knows those of its own directory and of the directories
// before it.
var order = []string{"schema", "state", "reconcile", "cmd"}

// kernel are the ways into the kernel, open to a few only.
var kernel = []string{
	"github.com/vishvananda/netlink", "github.com/vishvananda/netns", "github.com/mdlayher/netlink",
	"github.com/coreos/go-iptables", "github.com/google/nftables", "github.com/safchain/ethtool",
}

// imports are the paths that the files of a directory import, tests left out: those may use the
// lab.
func imports(t *testing.T, top string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[name] = append(found[name], imported)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// under says whether a package path is one of these or below one.
func under(path string, parents ...string) bool {
	return slices.ContainsFunc(parents, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}

func TestImportsGoOneWay(t *testing.T) {
	for i, top := range order {
		var allowed []string
		for _, dir := range order[:i+1] {
			allowed = append(allowed, module+"/"+dir)
		}
		for file, paths := range imports(t, top) {
			for _, path := range paths {
				if under(path, module) && !under(path, allowed...) {
					t.Errorf("%s imports %s: imports go %s", file, path, strings.Join(order, " <- "))
				}
			}
		}
	}
}

func TestOnlyStateAndPluginsSpeakToTheKernel(t *testing.T) {
	for _, top := range append(slices.Clone(order), "test") {
		for file, paths := range imports(t, top) {
			if under(file, "state", "cmd/cni") {
				continue
			}
			for _, path := range paths {
				if under(path, kernel...) {
					t.Errorf("%s imports %s: only state and cmd/cni do", file, path)
				}
			}
		}
	}
}

// pure are the packages that compute values from values: they reach no clock, no file, no socket
// and no driver.
var pure = []string{"schema", "state", "state/device", "state/shell", "state/netfilter/verdict", "reconcile", "reconcile/document"}

// timed are the pure packages whose values hold times, which they get from their callers.
var timed = []string{"reconcile/document"}

// fromKernel is what state/netfilter/verdict takes from the ways into the kernel, to read rules:
// types and constants alone.
var fromKernel = []string{"github.com/google/nftables/expr", "golang.org/x/sys/unix"}

// world are the standard library's and other ways out of a program: the clock, files, sockets,
// other programs.
var world = append([]string{"net/http", "os", "syscall", "time", "golang.org/x/sys"}, kernel...)

func TestPurePackages(t *testing.T) {
	for _, dir := range pure {
		for file, paths := range imports(t, dir) {
			if filepath.Dir(file) != dir {
				continue // a package below, which may be a driver
			}
			for _, path := range paths {
				inside := strings.TrimPrefix(path, module+"/")
				if path == "time" && slices.Contains(timed, dir) {
					continue // TestTimedPackagesReadNoClock looks at what they use of it
				}
				if dir == "state/netfilter/verdict" && slices.Contains(fromKernel, path) {
					continue
				}
				if inside != path && !slices.Contains(pure, inside) || under(path, world...) {
					t.Errorf("%s imports %s: %s is pure", file, path, dir)
				}
			}
		}
	}
}
