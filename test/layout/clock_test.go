package layout

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"testing"
)

// timeless are the names of package time that say what a time is, and not what time it is.
var timeless = []string{"Time", "Duration", "Nanosecond", "Microsecond", "Millisecond", "Second", "Minute", "Hour", "RFC3339"}

func TestTimedPackagesReadNoClock(t *testing.T) {
	for _, dir := range timed {
		for path := range imports(t, dir) {
			files := token.NewFileSet()
			file, err := parser.ParseFile(files, filepath.Join(root, path), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				use, is := n.(*ast.SelectorExpr)
				if !is {
					return true
				}
				if from, is := use.X.(*ast.Ident); is && from.Name == "time" && !slices.Contains(timeless, use.Sel.Name) {
					t.Errorf("%s uses time.%s: %s is pure", files.Position(use.Pos()), use.Sel.Name, dir)
				}
				return true
			})
		}
	}
}
