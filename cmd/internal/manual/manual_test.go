package manual

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// A program with a verb has two pages, and hidden verbs none.
func TestWrite(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "0")
	run := func(*cobra.Command, []string) {}
	program := &cobra.Command{Use: "tool", Short: "Do it"}
	program.PersistentFlags().StringP("file", "f", "/etc/tool", "the `FILE` to do")
	verb := &cobra.Command{Use: "run [NAME|-]", Short: "Run it", Long: "run runs it.\n\nExit codes: 0.", Example: "  tool run a\n  tool run b", Run: run}
	verb.Flags().Bool("now", false, "not later")
	program.AddCommand(verb, &cobra.Command{Use: "secret", Hidden: true, Run: run})
	dir := t.TempDir()
	if err := Write(dir, program, "# FILES\n\n/etc/tool\n: What to do.\n"); err != nil {
		t.Fatal(err)
	}
	pages, err := os.ReadDir(dir)
	if err != nil || len(pages) != 2 {
		t.Errorf("%v, %v", pages, err)
	}
	for _, name := range []string{"tool.8", "tool-run.8"} {
		if diff := cmp.Diff(read(t, "testdata", name), read(t, dir, name)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWrongDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if err := Write(t.TempDir(), &cobra.Command{Use: "tool"}, ""); err == nil {
		t.Error("it passes")
	}
}
