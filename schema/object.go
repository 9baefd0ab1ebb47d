package schema

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFields is more than any mapping of the file has.
const maxFields = 16

// object is a mapping of which every field is known and none is there twice.
type object struct {
	n      *yaml.Node
	p      *path
	fields []string
	keys   [maxFields]*yaml.Node // nil: the file does not set it
	values [maxFields]*yaml.Node
}

// object reads a mapping that may hold the fields named. False: it is none.
func (r *reader) object(v value, fields []string) (object, bool) {
	o := object{n: v.n, p: v.p, fields: fields}
	if !r.plain(v) {
		return o, false
	}
	if v.n.Kind != yaml.MappingNode {
		what := "is " + kindOf(v.n) + ", not a mapping"
		if isNull(v.n) {
			what = "is empty"
		}
		if v.p.isRoot() {
			what = "the file " + what
		}
		r.wrong(v, what, "fields: "+strings.Join(fields, ", "))
		return o, false
	}
	var strangers map[string]*yaml.Node
	for i := 0; i+1 < len(v.n.Content); i += 2 {
		key, val := v.n.Content[i], v.n.Content[i+1]
		at := slices.Index(fields, key.Value)
		if at >= 0 && r.plainKey(key, v.p) {
			r.set(&o, at, key, val)
			continue
		}
		if at < 0 && strangers[key.Value] == nil && r.plainKey(key, v.p) {
			if strangers == nil {
				strangers = map[string]*yaml.Node{}
			}
			strangers[key.Value] = key
			r.fault(key, v.p.field(show(key.Value)).String(), "unknown field", suggest(key.Value, fields))
		}
	}
	return o, true
}

func (r *reader) set(o *object, at int, key, val *yaml.Node) {
	if first := o.keys[at]; first != nil {
		r.fault(key, o.p.field(key.Value).String(), "is here twice, first in line "+strconv.Itoa(first.Line), "keep one")
		return
	}
	o.keys[at], o.values[at] = key, val
}

// plainKey refuses keys that are no plain names. The path is that of the mapping.
func (r *reader) plainKey(key *yaml.Node, p *path) bool {
	switch {
	case key.Kind == yaml.ScalarNode && key.Tag == "!!merge" && key.Style == 0:
		r.fault(key, p.String(), "merge keys (<<) are not allowed", "write the fields out")
		return false
	case key.Kind == yaml.MappingNode || key.Kind == yaml.SequenceNode:
		r.fault(key, p.String(), "a field's name is "+kindOf(key), "write FIELD: VALUE")
		return false
	}
	return r.plain(value{key, p})
}

// get gives the value of a field, which must be one of the object's. False: the file does not set
// it.
func (o *object) get(name string) (value, bool) {
	at := slices.Index(o.fields, name)
	if at < 0 {
		panic("schema: no field " + name)
	}
	if o.values[at] == nil {
		return value{}, false
	}
	return value{o.values[at], o.p.field(name)}, true
}

// key is where the file names a field, the object itself if it does not.
func (o *object) key(name string) *yaml.Node {
	if key := o.keys[slices.Index(o.fields, name)]; key != nil {
		return key
	}
	return o.n
}

// need is get for a field that every file must set.
func (r *reader) need(o *object, name, remedy string) (value, bool) {
	v, ok := o.get(name)
	if !ok {
		r.fault(o.n, o.p.field(name).String(), "is missing", remedy)
	}
	return v, ok
}

// noteLines remembers at which lines the file sets the object's fields.
func (r *reader) noteLines(o *object) {
	for i, name := range o.fields {
		if o.keys[i] != nil {
			r.lines[o.p.field(name).String()] = o.keys[i].Line
		}
	}
}

// section is an optional mapping outside nodes; one that the file does not set holds nothing.
func (r *reader) section(parent *object, name string, fields []string) object {
	v, ok := parent.get(name)
	if !ok {
		return object{fields: fields, p: parent.p.field(name)}
	}
	o, _ := r.object(v, fields)
	r.noteLines(&o)
	return o
}

func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		if len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode { // {{ x }}: a mapping as a field's name
			return "a template that was not filled in"
		}
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	return "a single value"
}
