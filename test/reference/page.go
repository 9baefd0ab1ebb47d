package reference

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the generated pages of the reference")

// Check fails a test whose page is not what the code says now. path is relative to the directory of
// the test.
func Check(t *testing.T, path, content string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(have), content); diff != "" {
		t.Errorf("%s is stale; go test -run '^%s$' -update writes it:\n%s", path, t.Name(), diff)
	}
}

// Head is the beginning of a page: its title, and a comment for who wants to edit it.
func Head(title string) string {
	return "<!-- Generated from the code by a test, with -update. -->\n\n# " + title + "\n\n"
}

// Table is a table with a head.
func Table(head []string, rows [][]string) string {
	var b strings.Builder
	row(&b, head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		row(&b, r)
	}
	return b.String()
}

func row(b *strings.Builder, cells []string) {
	for _, cell := range cells {
		fmt.Fprintf(b, "| %s ", strings.NewReplacer("|", `\|`, "<", "&lt;", "\n", " ").Replace(cell))
	}
	b.WriteString("|\n")
}

// Flags is a table of the flags that --help shows, "" if there are none.
func Flags(set *pflag.FlagSet) string {
	var rows [][]string
	set.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := strings.TrimSpace("--" + f.Name + " " + value)
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if f.DefValue == "false" || f.DefValue == "0s" {
			rows = append(rows, []string{"`" + name + "`", "", usage})
			return
		}
		rows = append(rows, []string{"`" + name + "`", f.DefValue, usage})
	})
	if rows == nil {
		return ""
	}
	return Table([]string{"flag", "default", "meaning"}, rows) + "\n"
}
