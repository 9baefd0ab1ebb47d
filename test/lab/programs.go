package lab

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ProgramsWithout is a directory with the programs of PATH, but for those whose names begin so.
func ProgramsWithout(t testing.TB, prefixes ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		programs, err := filepath.Glob(from + "/*")
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range programs {
			name := filepath.Base(path)
			if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) }) {
				_ = os.Symlink(path, filepath.Join(dir, name)) // the first of a name counts
			}
		}
	}
	return dir
}
