package reference

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the source tree.
const root = "../.."

// TestPapersNameWhatIsThere checks that every path of the source tree that one of the project's
// papers names exists.
func TestPapersNameWhatIsThere(t *testing.T) {
	path := regexp.MustCompile(`\b(?:schema|state|reconcile|cmd|examples|systemd|test)/[\w./-]*\w`)
	for _, paper := range []string{"ARCHITECTURE.md", "CONTRIBUTING.md", "GLOSSARY.md", "SECURITY.md"} {
		named := path.FindAllString(read(t, paper), -1)
		if len(named) == 0 && paper == "ARCHITECTURE.md" {
			t.Error("ARCHITECTURE.md names no path")
		}
		for _, name := range named {
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Errorf("%s names %s: %v", paper, name, err)
			}
		}
	}
}

// TestArchitectureNamesEveryPackage checks that the picture has all packages of the second level.
func TestArchitectureNamesEveryPackage(t *testing.T) {
	picture := read(t, "ARCHITECTURE.md")
	for _, pattern := range []string{"state/*/*.go", "state/netfilter/*/*.go", "reconcile/*/*.go", "cmd/pod*/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(files) == 0 {
			t.Errorf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files {
			dir, err := filepath.Rel(root, filepath.Dir(file))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(picture, dir) {
				t.Errorf("ARCHITECTURE.md does not name %s", dir)
			}
		}
	}
}

// TestWorkflowCallsTargets checks that hosted CI runs targets that the Makefile has.
func TestWorkflowCallsTargets(t *testing.T) {
	matrix := regexp.MustCompile(`target: \[(.*)\]`).FindStringSubmatch(read(t, ".github/workflows/ci.yml"))
	if matrix == nil {
		t.Fatal("ci.yml has no matrix of targets")
	}
	for target := range strings.SplitSeq(matrix[1], ", ") {
		if !strings.Contains(read(t, "Makefile"), "\n"+target+":") {
			t.Errorf("there is no target %s in the Makefile", target)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
