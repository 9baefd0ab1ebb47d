package schema

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Parse reads a topology in YAML or JSON and checks all of it. file is what messages call it.
// The error is always an *Invalid, with every fault of the file.
func Parse(file string, data []byte) (*Topology, error) { return readDocument(file, data).judge(data) }

// document is a file that was read.
type document struct {
	*reader
	text     []byte     // the file without a byte order mark: what places in the tree refer to
	root     *yaml.Node // nil: it could not be parsed
	topology *Topology  // as far as it could be read
	textual  bool       // its faults are about characters, size or emptiness, and quote nothing
}

func readDocument(file string, data []byte) *document {
	r := &reader{lines: map[string]int{}}
	d := &document{reader: r, text: withoutBOM(data), topology: &Topology{File: file, lines: r.lines}}
	if d.textual = !r.checkText(d.text); !d.textual {
		if d.root = r.tree(d.text); d.root != nil {
			r.topology(d.root, d.topology)
		}
	}
	return d
}

// judge gives the topology, or all that is wrong with it.
func (d *document) judge(data []byte) (*Topology, error) {
	t := d.topology
	if len(d.faults) > 0 && !d.claims() {
		return nil, &Invalid{File: t.File, Faults: d.disown()}
	}
	faults, warnings := quoteAll(d.text, d.faults), quoteAll(d.text, d.warnings)
	t.Warnings, t.Digest = warnings, Digest(data)
	if len(faults) == 0 {
		return t, nil
	}
	invalid := &Invalid{File: t.File, Faults: faults, Warnings: warnings, Nodes: d.nodes, Omitted: d.omitted}
	if d.miscounted && len(faults) == 1 {
		invalid.Miscounted = t
	}
	return nil, invalid
}

// Digest names a file's content: "sha256:" and the hex SHA-256 of its bytes.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *reader) tree(data []byte) *yaml.Node {
	if r.json = isJSON(data); r.json {
		return r.jsonTree(data)
	}
	return r.yamlTree(data)
}

// topology reads the whole tree and then checks what concerns several fields at once.
func (r *reader) topology(root *yaml.Node, t *Topology) {
	o, ok := r.object(value{root, &path{}}, fieldsOf[fileTopology]())
	if !ok {
		return
	}
	r.noteLines(&o)
	r.constant(&o, "apiVersion", APIVersion, "write "+APIVersion+"; another version needs another podnet")
	r.constant(&o, "kind", Kind, "write "+Kind)
	meta := r.metadata(&o, t)
	net := r.section(&o, "network", fieldsOf[fileNetwork]())
	ranges := r.network(&net, &t.Network)
	r.safety(&o, &t.Safety)
	entries := r.readNodes(&o, t.Name)
	removed := r.removedNodes(&o, t)

	r.checkNodeCount(&meta, entries)
	r.checkDuplicates(entries)
	r.checkRemoved(entries, removed, t.RemovedNodes)
	r.checkFamilies(entries)
	r.checkOverlaps(entries)
	r.checkRanges(&o, &net, entries, ranges, &t.Network)
	r.warnFamilies(entries)

	t.Nodes = make([]Node, len(entries))
	for i := range entries {
		t.Nodes[i] = entries[i].Node
	}
}

// constant is a required field that can hold one value only.
func (r *reader) constant(o *object, name, want, remedy string) {
	v, ok := r.need(o, name, "write "+name+": "+want)
	if !ok {
		return
	}
	if got, ok := r.text(v, "write "+want); ok && got != want {
		r.wrong(v, show(got)+" is unknown here", remedy)
	}
}

func (r *reader) metadata(o *object, t *Topology) object {
	meta := r.section(o, "metadata", fieldsOf[fileMetadata]())
	if v, ok := r.need(o, "metadata", "write the cluster's name below it: name: lab"); !ok || v.n.Kind != yaml.MappingNode {
		return meta
	}
	if v, ok := r.need(&meta, "name", "the cluster's name"); ok {
		t.Name = r.label(v)
	}
	return meta
}

// checkNodeCount finds a file that was cut off between two entries.
func (r *reader) checkNodeCount(meta *object, entries []entry) {
	v, ok := meta.get("nodeCount")
	if !ok {
		return
	}
	const most = 1 << 30
	says, ok := r.integer(v, 1, most, "how many entries nodes has")
	if !ok {
		return
	}
	if says == r.nodes {
		r.checkLastEntry(v, entries)
		return
	}
	r.miscounted = true
	message := "says " + plural(says, "node") + ", the file holds " + strconv.Itoa(r.nodes)
	if says > r.nodes {
		message += ": it was probably cut off"
	}
	r.wrong(v, message, "push the whole file, or if it is whole write "+strconv.Itoa(r.nodes))
}

// checkLastEntry finds a file that was cut off inside of its last entry: in a file that wants to be
// counted, an entry that nothing closes says which podCIDRs it has, if none.
func (r *reader) checkLastEntry(count value, entries []entry) {
	last := &entries[len(entries)-1]
	if last.broken || last.podsAt != nil || r.json || last.at.Style&yaml.FlowStyle != 0 {
		return
	}
	r.unfinished = true
	r.wrong(count, fmt.Sprintf("is right, but the last entry, %s in line %d, has no podCIDRs: the file was probably cut off", last.title(), last.Line),
		"push the whole file, or if it is whole write podCIDRs: [] there")
}

func (r *reader) safety(o *object, s *Safety) {
	s.MaxDisruptedPeersPercent = 10
	section := r.section(o, "safety", fieldsOf[fileSafety]())
	if v, ok := section.get("maxDisruptedPeersPercent"); ok {
		s.MaxDisruptedPeersPercent, _ = r.integer(v, 0, 100, "a percentage from 0 to 100")
	}
}

// removedNodes gives where each name stands, as long as the topology's own list.
func (r *reader) removedNodes(o *object, t *Topology) []value {
	v, ok := o.get("removedNodes")
	if !ok {
		return nil
	}
	var at []value
	elements, _ := r.list(v)
	for i, n := range elements {
		element := value{n, v.p.element(i)}
		r.lines[element.p.String()] = n.Line
		if name := r.subdomain(element); name != "" {
			t.RemovedNodes, at = append(t.RemovedNodes, name), append(at, element)
		}
	}
	return at
}
