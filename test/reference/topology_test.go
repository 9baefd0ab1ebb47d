package reference

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/schema"
)

// property is a field of the topology file in the JSON Schema.
type property struct {
	Type                 string
	Description          string
	Default              json.RawMessage
	Enum                 []string
	Minimum, Maximum     *int
	MinLength, MaxLength *int
	MinItems, MaxItems   *int
	AnyOf                []struct{ Const, Minimum, Maximum *int }
	Required             []string
	Properties           fields
	Items                *property
}

// fields are the properties of an object in the order of the schema.
type fields []field

type field struct {
	name string
	property
}

// UnmarshalJSON keeps the order, which a map does not.
func (f *fields) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(strings.NewReader(string(data)))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		next := field{name: fmt.Sprint(name)}
		if err := d.Decode(&next.property); err != nil {
			return err
		}
		*f = append(*f, next)
	}
	return nil
}

// TestTopology checks that schema/REFERENCE.md has every field of the topology file.
func TestTopology(t *testing.T) {
	var file property
	if err := json.Unmarshal(schema.JSONSchema(), &file); err != nil {
		t.Fatal(err)
	}
	Check(t, root+"/schema/REFERENCE.md", Head("The topology file: fields")+
		"A YAML or JSON file in UTF-8 with one document, at most 64 MiB, whose last byte is a newline. Fields are spelled\n"+
		"exactly as here; one that is unknown or written twice is an error. `podnetctl schema` prints the JSON Schema, and\n"+
		"`podnetctl validate` also checks what concerns several fields at once. [examples/full.yaml](../examples/full.yaml)\n"+
		"shows every field.\n\n"+
		Table([]string{"field", "value", "default", "meaning"}, describe("", file)))
}

// describe has a row for each field below an object.
func describe(prefix string, object property) [][]string {
	var rows [][]string
	for _, f := range object.Properties {
		path, inner := prefix+f.name, f.property
		standard := strings.Join(strings.Fields(string(f.Default)), " ")
		if strings.Contains(" "+strings.Join(object.Required, " ")+" ", " "+f.name+" ") {
			standard = "required"
		}
		rows = append(rows, []string{"`" + path + "`", f.value(), standard, f.Description})
		if inner.Items != nil {
			path, inner = path+"[]", *inner.Items
		}
		rows = append(rows, describe(path+".", inner)...)
	}
	return rows
}

// value says what a field can hold.
func (p property) value() string {
	text := p.Type
	if p.Items != nil {
		text = "list of " + p.Items.value()
	}
	for _, a := range p.AnyOf {
		if a.Const != nil {
			text += fmt.Sprintf(", %d or", *a.Const)
		} else {
			text += limits(" ", "", a.Minimum, a.Maximum)
		}
	}
	text += limits(", ", "", p.Minimum, p.Maximum) + limits(", ", " characters", p.MinLength, p.MaxLength) +
		limits(", ", " elements", p.MinItems, p.MaxItems)
	if p.Enum != nil {
		text += ": " + strings.Join(p.Enum, ", ")
	}
	return text
}

// limits are a range with a separator before it and a unit behind it, "" without limits.
func limits(before, unit string, least, most *int) string {
	switch {
	case least != nil && most != nil:
		return fmt.Sprintf("%s%d to %d%s", before, *least, *most, unit)
	case least != nil:
		return fmt.Sprintf("%sat least %d%s", before, *least, unit)
	case most != nil:
		return fmt.Sprintf("%sat most %d%s", before, *most, unit)
	}
	return ""
}
