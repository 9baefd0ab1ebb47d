package protocol

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Object reads a JSON object field by field. Package json would look at every field of a type by
// reflection before it reads the first, which takes a plugin as long as all of its files do. Like
// package json it takes names without regard to case where none fits exactly, the last of several,
// and null for absent. The first fault is kept for Err.
type Object struct {
	path   string
	fields []field
	err    *error
}

type field struct {
	name string
	raw  []byte
}

// ReadObject begins to read raw, which what names in messages.
func ReadObject(what string, raw []byte) Object {
	o := Object{path: what, err: new(error)}
	if !json.Valid(raw) {
		*o.err = json.Unmarshal(raw, new(any)) // says where
		return o
	}
	o.split(trim(raw))
	return o
}

// Err returns the first fault of the object and of those in it.
func (o Object) Err() error {
	if *o.err == nil {
		return nil
	}
	return Errorf(CodeDecode, "%w", *o.err)
}

func (o Object) fail(name string, raw []byte, want string) {
	if *o.err == nil {
		*o.err = fmt.Errorf("%s: %s is %.40s, not %s", o.path, name, raw, want)
	}
}

// split finds the fields of a valid object.
func (o *Object) split(raw []byte) {
	if absent(raw) {
		return
	}
	if raw[0] != '{' {
		o.fail("it", raw, "an object")
		return
	}
	for part := range elements(raw) {
		end := value(part)
		name, _ := unquote(part[:end])
		o.fields = append(o.fields, field{name, trim(trim(part[end:])[1:])}) // behind the colon
	}
}

// elements yields what stands between the commas of a valid object or array.
func elements(raw []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		rest := trim(raw[1 : len(raw)-1])
		for len(rest) > 0 {
			end := 0
			for end < len(rest) && rest[end] != ',' {
				end += value(rest[end:])
			}
			if !yield(trim(rest[:end])) || end == len(rest) {
				return
			}
			rest = trim(rest[end+1:])
		}
	}
}

// value returns the length of the value that a piece of valid JSON begins with, or of the one byte
// between values.
func value(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}

func trim(b []byte) []byte {
	const space = " \t\r\n"
	for len(b) > 0 && strings.IndexByte(space, b[0]) >= 0 {
		b = b[1:]
	}
	for len(b) > 0 && strings.IndexByte(space, b[len(b)-1]) >= 0 {
		b = b[:len(b)-1]
	}
	return b
}

// unquote reads a valid JSON string; false if it is none.
func unquote(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	inner := string(raw[1 : len(raw)-1])
	if strings.IndexByte(inner, '\\') < 0 && utf8.ValidString(inner) {
		return inner, true
	}
	var s string
	return s, json.Unmarshal(raw, &s) == nil
}

// Raw returns a field as it is written, nil if it is absent.
func (o Object) Raw(name string) []byte {
	var found []byte
	exact := false
	for _, f := range o.fields {
		same := f.name == name
		if same || !exact && strings.EqualFold(f.name, name) {
			found, exact = f.raw, exact || same
		}
	}
	if absent(found) {
		return nil
	}
	return found
}

func absent(raw []byte) bool { return len(raw) == 0 || string(raw) == "null" }

// String reads a text. Like the others it leaves to as it is if the field is absent.
func (o Object) String(name string, to *string) {
	raw := o.Raw(name)
	if raw == nil {
		return
	}
	s, ok := unquote(raw)
	if !ok {
		o.fail(name, raw, "a string")
		return
	}
	*to = s
}

// Bool reads true or false.
func (o Object) Bool(name string, to *bool) {
	switch raw := o.Raw(name); string(raw) {
	case "true", "false":
		*to = string(raw) == "true"
	case "":
	default:
		o.fail(name, raw, "true or false")
	}
}

// Int reads a whole number.
func (o Object) Int(name string, to *int) {
	raw := o.Raw(name)
	if raw == nil {
		return
	}
	n, err := strconv.Atoi(string(raw))
	if err != nil {
		o.fail(name, raw, "a whole number")
		return
	}
	*to = n
}

// Text reads a string of a type that knows its own form.
func (o Object) Text(name string, to interface{ UnmarshalText([]byte) error }) {
	var s string
	if o.String(name, &s); o.Raw(name) == nil || *o.err != nil {
		return
	}
	if err := to.UnmarshalText([]byte(s)); err != nil {
		*o.err = fmt.Errorf("%s: %s: %w", o.path, name, err)
	}
}

// Any reads whatever package json makes of a field. It is for what is rarely there.
func (o Object) Any(name string, to any) {
	if raw := o.Raw(name); raw != nil && *o.err == nil {
		if err := json.Unmarshal(raw, to); err != nil {
			*o.err = fmt.Errorf("%s: %s: %w", o.path, name, err)
		}
	}
}

// Object reads an object within; one that is absent has no fields.
func (o Object) Object(name string) Object {
	in := Object{path: name, err: o.err}
	in.split(o.Raw(name))
	return in
}

// List reads an array as its elements are written.
func (o Object) List(name string) [][]byte { return o.list(name, o.Raw(name)) }

func (o Object) list(name string, raw []byte) [][]byte {
	if absent(raw) {
		return nil
	}
	if raw[0] != '[' {
		o.fail(name, raw, "a list")
		return nil
	}
	var all [][]byte
	for e := range elements(raw) {
		all = append(all, e)
	}
	return all
}

// Lists reads an array of arrays of objects.
func (o Object) Lists(name string) [][]Object {
	var all [][]Object
	for _, raw := range o.List(name) {
		inner := []Object{}
		for _, e := range o.list(name, raw) {
			in := Object{path: name, err: o.err}
			in.split(e)
			inner = append(inner, in)
		}
		all = append(all, inner)
	}
	return all
}
