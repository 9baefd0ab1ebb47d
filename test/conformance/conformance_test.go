// Package conformance runs a directory of CNI plugins through the specification, and through what
// the users of bridge, host-local, loopback and portmap rely on. It executes them as a runtime does
// and looks at the kernel with the tools of an administrator; it knows nothing of the project that
// made them:
//
//	CNI_PATH=/opt/cni/bin go test ./test/conformance
//
// CONFORMANCE_REPORT=1 prints a table that compares CNI_PATH with the reference plugins, whose
// faults it shows without failing for them.
package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// versions of the specification, in order.
var versions = []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}

// testCase is one promise. It is tried on a host of its own in every version since the one that
// brought what it is about.
type testCase struct {
	name  string
	since string // empty: the first
	run   func(*host) error
}

func (c testCase) versions() []string {
	for i, v := range versions {
		if v == c.since {
			return versions[i:]
		}
	}
	return versions
}

// pluginsUnderTest is CNI_PATH, or what make build made.
func pluginsUnderTest(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CNI_PATH")
	if dir == "" {
		dir = filepath.Join(lab.SourceTree(), "bin/cni")
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(lab.SourceTree(), dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "bridge")); err != nil {
		t.Fatalf("no plugins to test: %v (make build, or name their directory in CNI_PATH)", err)
	}
	return dir
}

func TestConformance(t *testing.T) {
	lab.Need(t)
	dir := pluginsUnderTest(t)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, version := range c.versions() {
				if err := try(dir, version, c); err != nil {
					t.Errorf("%s: %v", version, err)
				}
			}
		})
	}
}

// TestReport prints the table. It fails for the plugins under test only.
func TestReport(t *testing.T) {
	if os.Getenv("CONFORMANCE_REPORT") == "" {
		t.Skip("CONFORMANCE_REPORT=1 compares with the reference plugins: make conformance")
	}
	reference, err := lab.ReferencePlugins()
	if err != nil {
		t.Fatal(err)
	}
	dir := pluginsUnderTest(t)
	var table report
	for _, c := range cases() {
		table.add(c, verdictOf(dir, c), verdictOf(reference, c))
	}
	fmt.Print(table.text(label(dir), "reference"))
	if table.failed > 0 {
		t.Errorf("%d cases failed", table.failed)
	}
}

// label is how the table's head calls a directory.
func label(dir string) string {
	rel, err := filepath.Rel(lab.SourceTree(), dir)
	if err != nil || strings.HasPrefix(rel, "..") {
		return dir
	}
	return rel
}
