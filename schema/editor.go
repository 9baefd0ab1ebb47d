package schema

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// editor writes into the text of a file at places that its tree knows, so that everything else
// stays as it is to the byte. What it writes looks like what is there: block or flow, quotes,
// indentation, line ends.
type editor struct {
	*document
	cursor cursor
	eol    string
	pods   podStyle
	edits  []edit
}

// edit replaces some bytes, or none, by a text.
type edit struct {
	off, drop int
	text      string
}

// podStyle is how the file writes podCIDRs.
type podStyle struct {
	quote  string
	block  bool
	indent int // of a dash, against the field's name
}

func newEditor(d *document) *editor {
	e := &editor{document: d, cursor: cursor{data: d.text}, eol: "\n", pods: podStyle{quote: `"`}}
	if first := bytes.IndexByte(d.text, '\n'); first > 0 && d.text[first-1] == '\r' {
		e.eol = "\r\n"
	}
	for _, n := range child(d.root, "nodes").Content {
		if key, v := field(n, "podCIDRs"); v != nil && len(v.Content) > 0 {
			e.pods = podStyle{quote(v.Content[0]), v.Style&yaml.FlowStyle == 0, v.Column - key.Column}
			break
		}
	}
	return e
}

// write gives the text in which the takers have their podCIDRs.
func (e *editor) write(takers []taker) []byte {
	for _, n := range takers {
		if n.at == nil {
			e.add(n.Node)
		} else {
			e.setPodCIDRs(n.at, n.PodCIDRs)
		}
	}
	slices.SortStableFunc(e.edits, func(a, b edit) int { return a.off - b.off })
	var out []byte
	done := 0
	for _, c := range e.edits {
		out = append(append(out, e.text[done:c.off]...), c.text...)
		done = c.off + c.drop
	}
	return append(out, e.text[done:]...)
}

func (e *editor) insert(off int, text string) { e.edits = append(e.edits, edit{off, 0, text}) }

// offset is where a node begins. Asked for in the order of the file it costs one walk through it.
func (e *editor) offset(n *yaml.Node) int {
	if n.Line-1 < e.cursor.line || n.Line-1 == e.cursor.line && n.Column-1 < e.cursor.column {
		e.cursor = cursor{data: e.text}
	}
	e.cursor.moveToPlace(n.Line, n.Column)
	return e.cursor.off
}

// setPodCIDRs fills the empty list of an entry, or adds one behind its ip.
func (e *editor) setPodCIDRs(entry *yaml.Node, cidrs []netip.Prefix) {
	if list := child(entry, "podCIDRs"); list != nil {
		off := e.offset(list) + 1
		blank := len(e.text[off:]) - len(bytes.TrimLeft(e.text[off:], " \t"))
		e.edits = append(e.edits, edit{off, blank, quoted(cidrs, e.pods.quote)})
		return
	}
	key, ip := field(entry, "ip")
	at := e.offset(key)
	end := e.scalarEnd(ip)
	switch {
	case entry.Style&yaml.FlowStyle == 0:
		e.insert(e.nextLine(end), spaces(key.Column-1)+e.podCIDRs(quote(key), key.Column-1, cidrs)+e.eol)
	default:
		e.insertInFlow(at, end, e.flowPodCIDRs(quote(key), cidrs))
	}
}

// insertInFlow writes behind an element of a flow collection: on a line of its own if the element
// has one, below what the element's line says of it in a comment.
func (e *editor) insertInFlow(begin, end int, text string) {
	if !e.beginsLine(begin) { // asked first: JSON may be one long line
		e.insert(end, ", "+text)
		return
	}
	next := e.nextLine(end)
	rest := bytes.TrimSpace(e.text[end:next])
	tail := bytes.TrimSpace(bytes.TrimPrefix(rest, []byte(",")))
	switch {
	case len(tail) > 0 && tail[0] != '#':
		e.insert(end, ","+e.eol+e.indentOf(begin)+text)
	case len(tail) < len(rest):
		e.insert(next, e.indentOf(begin)+text+","+e.eol)
	default:
		e.insert(end, ",")
		e.insert(next, e.indentOf(begin)+text+e.eol)
	}
}

// podCIDRs is the field in a block that is indented as far; its first line has no indentation.
func (e *editor) podCIDRs(key string, indent int, cidrs []netip.Prefix) string {
	if !e.pods.block {
		return e.flowPodCIDRs(key, cidrs)
	}
	text := key + "podCIDRs" + key + ":"
	for _, c := range cidrs {
		text += e.eol + spaces(indent+e.pods.indent) + "- " + e.pods.quote + c.String() + e.pods.quote
	}
	return text
}

func (e *editor) flowPodCIDRs(key string, cidrs []netip.Prefix) string {
	return fmt.Sprintf("%spodCIDRs%s: [%s]", key, key, quoted(cidrs, e.pods.quote))
}

// raiseNodeCount is for an added entry.
func (e *editor) raiseNodeCount() {
	if count := child(child(e.root, "metadata"), "nodeCount"); count != nil {
		e.edits = append(e.edits, edit{e.offset(count), len(count.Value), strconv.Itoa(e.nodes + 1)})
	}
}

// scalarEnd is the offset behind a scalar in one line.
func (e *editor) scalarEnd(n *yaml.Node) int {
	off := e.offset(n)
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 {
		return off + closingQuote(e.text[off:]) + 1
	}
	return off + len(n.Value)
}

// nextLine is the offset of the line below.
func (e *editor) nextLine(off int) int { return off + bytes.IndexByte(e.text[off:], '\n') + 1 }

// lineStart is the offset of the line's first byte.
func (e *editor) lineStart(off int) int { return bytes.LastIndexByte(e.text[:off], '\n') + 1 }

// beginsLine: only blanks stand before it in its line, which is not the first.
func (e *editor) beginsLine(off int) bool {
	for off--; off >= 0; off-- {
		if c := e.text[off]; c != ' ' && c != '\t' {
			return c == '\n'
		}
	}
	return false
}

// indentOf is the white space that the line begins with.
func (e *editor) indentOf(off int) string {
	line := e.text[e.lineStart(off):]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

func spaces(n int) string { return strings.Repeat(" ", n) }

// quote is what a scalar stands in.
func quote(n *yaml.Node) string {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return `"`
	case n.Style&yaml.SingleQuotedStyle != 0:
		return "'"
	}
	return ""
}

// quoted are the elements of a flow list.
func quoted(cidrs []netip.Prefix, quote string) string {
	var all []string
	for _, c := range cidrs {
		all = append(all, quote+c.String()+quote)
	}
	return strings.Join(all, ", ")
}
