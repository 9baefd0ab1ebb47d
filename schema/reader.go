package schema

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFaults bounds what is kept and shown of a file that is wrong throughout; the rest is counted
// only. The daemon reads whatever is put in place: 64 MiB of nothing but faults would take it
// gigabytes.
const maxFaults = 10000

// reader walks a file's tree once, decodes it and collects every fault; it lives as long as one
// Parse.
type reader struct {
	faults   []found
	warnings []found
	omitted  int
	lines    map[string]int
	nodes    int // entries of nodes, good or bad

	json       bool // brackets close everything
	miscounted bool // nodeCount says another number
	unfinished bool // nodeCount is right, and the last entry lacks podCIDRs
}

// found is a fault before its line has been quoted.
type found struct {
	Fault
	mark string
}

func (r *reader) fault(at *yaml.Node, field, message, remedy string) {
	r.faultAt(placeOf(at), field, message, remedy)
}

func (r *reader) faultAt(at position, field, message, remedy string) {
	if len(r.faults) == maxFaults {
		r.omitted++
		return
	}
	r.faults = append(r.faults, newFound(at, field, message, remedy))
}

func (r *reader) warn(at *yaml.Node, field, message, remedy string) {
	r.warnings = append(r.warnings, newFound(placeOf(at), field, message, remedy))
}

func newFound(at position, field, message, remedy string) found {
	return found{
		Fault: Fault{Line: at.line, Column: at.column, Field: field, Message: message, Remedy: remedy},
		mark:  at.mark,
	}
}

// placeOf is where to point for a node: a scalar itself, the first key of a block, the bracket of a
// flow collection.
func placeOf(n *yaml.Node) position {
	at := position{line: n.Line, column: n.Column, mark: n.Value}
	if n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0 {
		at.mark = n.Content[0].Value
	}
	return at
}

// path is a field's place in the file, put into words only where there is something to say about
// it.
type path struct {
	up    *path
	name  string // empty: an element of a list
	index int
}

func (p *path) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		switch {
		case p.name == "" && p.up != nil:
			parts = append(parts, "["+strconv.Itoa(p.index)+"]")
		case p.up == nil || p.up.isRoot():
			parts = append(parts, p.name)
		default:
			parts = append(parts, "."+p.name)
		}
	}
	slices.Reverse(parts)
	return strings.Join(parts, "")
}

func (p *path) isRoot() bool { return p.up == nil && p.name == "" }

func (p *path) field(name string) *path { return &path{up: p, name: name} }
func (p *path) element(i int) *path     { return &path{up: p, index: i} }

// value is a node of the tree and where it stands.
type value struct {
	n *yaml.Node
	p *path
}

func (r *reader) wrong(v value, message, remedy string) { r.fault(v.n, v.p.String(), message, remedy) }

// plain refuses what makes a file mean something else than what it shows. False: the value cannot
// be read.
func (r *reader) plain(v value) bool {
	if v.n.Kind == yaml.AliasNode {
		r.wrong(v, "aliases (*"+v.n.Value+") are not allowed", "write the value out")
		return false
	}
	if v.n.Anchor != "" {
		r.wrong(v, "anchors (&"+v.n.Anchor+") are not allowed", "write the value alone, wherever it is needed")
	}
	if v.n.Style&yaml.TaggedStyle != 0 {
		r.wrong(v, "tags ("+show(v.n.Tag)+") are not allowed", "write the value alone")
		return false
	}
	return true
}

// list gives the elements of a list. False: the value is none.
func (r *reader) list(v value) ([]*yaml.Node, bool) {
	if !r.plain(v) {
		return nil, false
	}
	switch {
	case v.n.Kind == yaml.SequenceNode:
		return v.n.Content, true
	case isNull(v.n):
		r.wrong(v, "is empty", "write [] for none, or leave the field out")
	case v.n.Kind == yaml.ScalarNode:
		r.wrong(v, "is a single value, not a list", "write ["+strconv.Quote(v.n.Value)+"]")
	default:
		r.wrong(v, "is a mapping, not a list", "begin each element with a dash")
	}
	return nil, false
}
