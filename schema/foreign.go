package schema

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// domain is what every version of a topology's apiVersion begins with.
const domain = "podnet.dev/"

// Fields by which a text that cannot be parsed still says that it is a topology: at the beginning
// of a line, or anywhere in JSON.
var (
	blockField = regexp.MustCompile(`(?m)^["']?(apiVersion["']?[ \t]*:[ \t]*["']?podnet\.dev/|kind["']?[ \t]*:[ \t]*["']?ClusterTopology\b)`)
	flowField  = regexp.MustCompile(`["'](apiVersion["']?[ \t]*:[ \t]*["']?podnet\.dev/|kind["']?[ \t]*:[ \t]*["']?ClusterTopology\b)`)
)

// claims reports whether the file says that it is a topology: by its apiVersion, by its kind, or by
// having nodes and nothing that a topology has not.
func (d *document) claims() bool {
	if d.root == nil {
		const head = 64 << 10 // of a file that may be too large: whatever has its apiVersion behind that is none
		text := d.text[:min(len(d.text), head)]
		if isJSON(text) {
			return flowField.Match(text)
		}
		return blockField.Match(text)
	}
	if d.root.Kind != yaml.MappingNode {
		return false
	}
	fields, nodes, others := fieldsOf[fileTopology](), false, false
	for i := 0; i+1 < len(d.root.Content); i += 2 {
		switch name, value := d.root.Content[i].Value, d.root.Content[i+1].Value; {
		case name == "apiVersion" && strings.HasPrefix(value, domain), name == "kind" && value == Kind:
			return true
		default:
			nodes = nodes || name == "nodes"
			others = others || !slices.Contains(fields, name)
		}
	}
	return nodes && !others
}

// disown replaces the faults of a file that does not say that it is a topology by one that tells
// nothing of what the file holds. Somebody may have named a file that only root reads, to have a
// podnetctl that runs as root show its lines. What is wrong with its characters, and with the file
// as a whole, tells nothing.
func (d *document) disown() []Fault {
	f := d.faults[0].Fault
	if !d.textual && !strings.HasPrefix(f.Message, "the file ") {
		f = Fault{Line: 1, Column: 1, Message: "this is not a cluster topology",
			Remedy: "a topology says apiVersion: " + APIVersion + " and kind: " + Kind + "; was the file cut off?"}
	}
	return []Fault{f}
}
