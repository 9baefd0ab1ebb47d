package schema

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata and topology.schema.json from what the code does now")

// TestInvalid holds what an operator sees of every kind of fault, one file each.
func TestInvalid(t *testing.T) {
	for _, file := range inputs(t, "testdata/invalid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Parse(filepath.Base(file), read(t, file))
			invalid, ok := errors.AsType[*Invalid](err)
			if !ok {
				t.Fatalf("Parse returned %v, want faults", err)
			}
			var out strings.Builder
			if err := invalid.WriteText(&out, nil); err != nil {
				t.Fatal(err)
			}
			golden(t, file+".txt", out.String())
		})
	}
}

// TestValid holds what is accepted, and what is warned of.
func TestValid(t *testing.T) {
	for _, file := range inputs(t, "testdata/valid") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			topology, err := Parse(filepath.Base(file), read(t, file))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := topology.WriteText(&out, nil); err != nil {
				t.Fatal(err)
			}
			golden(t, file+".txt", out.String())
		})
	}
}

func inputs(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	for _, pattern := range []string{"*.yaml", "*.json"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		t.Fatalf("no files in %s", dir)
	}
	return files
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := string(read(t, file)); got != want {
		t.Errorf("%s (go test ./schema -update rewrites it)\ngot:\n%swant:\n%s", file, got, want)
	}
}
