package screen

import (
	"io"
	"strings"
)

// Desired is what render shows: everything that one node should hold.
type Desired struct {
	Node                   string
	Topology               File
	MTU                    int
	Assumed                []string
	ConflistPath, Conflist string
	Objects                []Object
}

// Object is one object of a node.
type Object struct{ Kind, Name, Attrs string }

// WriteDesired writes the screen of render.
func WriteDesired(w io.Writer, style Style, d Desired) error {
	p := newPage(w, style)
	p.row("Node", "%s", d.Node)
	p.row("Topology", "%s  %s", ShortDigest(d.Topology.Digest), d.Topology.Path)
	p.row("MTU", "%d", d.MTU)
	for _, a := range d.Assumed {
		p.row("Assumed", "%s", a)
	}
	p.blank()
	if len(d.Objects) == 0 {
		p.line("", text("nothing: the node has no podCIDR yet"))
		return p.close()
	}
	p.line("", span{d.ConflistPath, bold})
	for line := range strings.Lines(d.Conflist) {
		p.line("", text("%s", strings.TrimSuffix(line, "\n")))
	}
	p.blank()
	p.line("", span{plural(len(d.Objects), "object") + ", in order of creation", bold})
	var all []object
	for _, o := range d.Objects {
		all = append(all, object{mark: ' ', kind: o.Kind, name: o.Name, detail: o.Attrs})
	}
	p.objects(flat, all)
	return p.close()
}
