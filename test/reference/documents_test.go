package reference

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/podnet/podnet/"

// source is the declarations of packages, by directory.
type source map[string]*declarations

// declarations are those of one package that describe JSON documents.
type declarations struct {
	types  map[string]*ast.TypeSpec
	about  map[string]string   // what is said of a type
	values map[string][]string // the constants of a type that is a string
	kinds  map[string]string   // the value of the field kind, by the name of the document's type
	paths  map[string]string   // the directory of an imported package of the module, by its name here
}

// TestDocuments checks that cmd/podnetctl/DOCUMENTS.md has every JSON document with all of its
// fields. A document is a struct that has the fields apiVersion and kind.
func TestDocuments(t *testing.T) {
	s := parse(t, "schema", "state", "reconcile", "cmd/podnetctl")
	kinds := map[string]string{}
	for _, d := range s {
		maps.Copy(kinds, d.kinds)
	}
	sections := map[string]string{}
	for dir, d := range s {
		for name, spec := range d.types {
			if document, is := spec.Type.(*ast.StructType); is && dir != "schema" && hasFields(document, "apiVersion", "kind") {
				if kinds[name] == "" {
					t.Errorf("%s.%s: no code gives its kind", dir, name)
				}
				title := kinds[name]
				if kinds[title] != "" {
					title = name // another document has that title
				}
				sections[title] = fmt.Sprintf("## %s\n\n`kind: %s`. %s\n\n%s\n", title, kinds[name], d.about[name],
					Table([]string{"field", "value", "meaning"}, s.rows(d, "", document)))
			}
		}
	}
	if len(sections) < 10 {
		t.Errorf("%d documents found", len(sections))
	}
	page := Head("JSON documents") +
		"What the commands print with `-o json`, and `/run/podnet/status.json`. Each document has\n" +
		"`apiVersion: podnet.dev/v1alpha1` and its kind. Readers ignore fields, kinds and condition types that they do not\n" +
		"know: within v1alpha1 there may be more, never fewer.\n" +
		"A field marked *optional* is left out when it is empty. KEY stands for any key of an object.\n\n"
	for _, title := range slices.Sorted(maps.Keys(sections)) {
		page += sections[title]
	}
	Check(t, root+"/cmd/podnetctl/DOCUMENTS.md", strings.TrimSpace(page)+"\n")
}

// parse reads the packages below these directories, without their tests.
func parse(t *testing.T, tops ...string) source {
	t.Helper()
	s := source{}
	for _, top := range tops {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			dir, err := filepath.Rel(root, filepath.Dir(path))
			s.add(dir, file)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s source) add(dir string, file *ast.File) {
	if s[dir] == nil {
		s[dir] = &declarations{
			types: map[string]*ast.TypeSpec{}, about: map[string]string{}, values: map[string][]string{},
			kinds: map[string]string{}, paths: map[string]string{},
		}
	}
	d := s[dir]
	for _, i := range file.Imports {
		path, _ := strconv.Unquote(i.Path.Value) // the parser has seen that it is quoted
		if inside, is := strings.CutPrefix(path, module); is {
			name := filepath.Base(inside)
			if i.Name != nil {
				name = i.Name.Name
			}
			d.paths[name] = inside
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GenDecl:
			d.declare(n)
		case *ast.CompositeLit:
			d.build(n)
		}
		return true
	})
}

// declare notes types with their comments, and the constants of types.
func (d *declarations) declare(decl *ast.GenDecl) {
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			d.types[spec.Name.Name] = spec
			d.about[spec.Name.Name] = sentence(decl.Doc, spec.Doc)
		case *ast.ValueSpec:
			if name, is := spec.Type.(*ast.Ident); is && decl.Tok == token.CONST && len(spec.Values) == 1 {
				if value, is := spec.Values[0].(*ast.BasicLit); is && value.Kind == token.STRING {
					text, _ := strconv.Unquote(value.Value)
					d.values[name.Name] = append(d.values[name.Name], text)
				}
			}
		}
	}
}

// build notes the kind that code gives to a document: the value of its field Kind, or the second
// one.
func (d *declarations) build(literal *ast.CompositeLit) {
	name := ""
	switch t := literal.Type.(type) {
	case *ast.Ident:
		name = t.Name
	case *ast.SelectorExpr:
		name = t.Sel.Name
	}
	for i, element := range literal.Elts {
		if pair, is := element.(*ast.KeyValueExpr); is {
			if key, is := pair.Key.(*ast.Ident); !is || key.Name != "Kind" {
				continue
			}
			element = pair.Value
		} else if i != 1 {
			continue
		}
		if value, is := element.(*ast.BasicLit); is && value.Kind == token.STRING {
			d.kinds[name], _ = strconv.Unquote(value.Value)
		}
	}
}

// hasFields reports whether a struct has JSON fields of these names.
func hasFields(s *ast.StructType, names ...string) bool {
	for _, f := range s.Fields.List {
		name, _, _ := strings.Cut(tag(f), ",")
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
	}
	return len(names) == 0
}

// tag is the field's key for package json.
func tag(f *ast.Field) string {
	if f.Tag == nil {
		return ""
	}
	text, _ := strconv.Unquote(f.Tag.Value)
	return reflect.StructTag(text).Get("json")
}

// rows describes the fields of a struct and what is below them.
func (s source) rows(d *declarations, prefix string, object *ast.StructType) [][]string {
	var rows [][]string
	for _, f := range object.Fields.List {
		name, options, _ := strings.Cut(tag(f), ",")
		if name == "" || name == "-" || prefix == "" && (name == "apiVersion" || name == "kind") {
			continue
		}
		value, below := s.value(d, prefix+name, f.Type)
		meaning := sentence(f.Doc, f.Comment)
		if strings.Contains(options, "omitempty") {
			value += ", *optional*"
		}
		rows = append(append(rows, []string{"`" + prefix + name + "`", value, meaning}), below...)
	}
	return rows
}

// value says what a type is in JSON, with rows for the fields below it, which stand at path.
func (s source) value(d *declarations, path string, t ast.Expr) (string, [][]string) {
	switch t := t.(type) {
	case *ast.StarExpr:
		value, below := s.value(d, path, t.X)
		return value + " or null", below
	case *ast.ArrayType:
		value, below := s.value(d, path+"[]", t.Elt)
		return "list of " + value, below
	case *ast.MapType:
		value, below := s.value(d, path+".KEY", t.Value)
		return "object of " + value, below
	case *ast.StructType:
		return "object", s.rows(d, path+".", t)
	case *ast.SelectorExpr:
		return s.imported(d, path, t)
	case *ast.Ident:
		return s.named(d, path, t.Name)
	}
	return "any", nil
}

// imported is the value of another package's type.
func (s source) imported(d *declarations, path string, t *ast.SelectorExpr) (string, [][]string) {
	name := fmt.Sprint(t.X) + "." + t.Sel.Name
	if other := s[d.paths[fmt.Sprint(t.X)]]; other != nil {
		return s.named(other, path, t.Sel.Name)
	}
	known := map[string]string{"time.Time": "time, RFC 3339", "json.RawMessage": "any"}
	if known[name] == "" {
		return "string", nil
	}
	return known[name], nil
}

// named is the value of a type of a package, or of the language.
func (s source) named(d *declarations, path, name string) (string, [][]string) {
	basic := map[string]string{"bool": "boolean", "string": "string", "float64": "number"}
	spec := d.types[name]
	switch {
	case basic[name] != "":
		return basic[name], nil
	case spec == nil:
		return "integer", nil
	case len(d.values[name]) > 0:
		return "string: " + strings.Join(d.values[name], ", "), nil
	case hasDocument(spec):
		return "a document " + name, nil
	}
	return s.value(d, path, spec.Type)
}

// hasDocument reports whether a type is a document of its own, which has a section.
func hasDocument(spec *ast.TypeSpec) bool {
	object, is := spec.Type.(*ast.StructType)
	return is && hasFields(object, "apiVersion", "kind")
}

// sentence is the first comment that there is, on one line.
func sentence(comments ...*ast.CommentGroup) string {
	for _, c := range slices.Backward(comments) {
		if text := strings.Join(strings.Fields(c.Text()), " "); text != "" {
			return regexp.MustCompile(`\bnil\b`).ReplaceAllString(text, "null")
		}
	}
	return ""
}
