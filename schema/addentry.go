package schema

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entryStyle is how entries are written: like the last one.
type entryStyle struct {
	flow, lines bool   // within braces; each field on a line of its own there
	key         string // quotes of a field's name
	name, ip    string // quotes of the values
	fields      string // indentation of fields on lines of their own
	column      int    // the same in columns, for blocks
}

// add appends an entry to nodes.
func (e *editor) add(n Node) {
	e.raiseNodeCount()
	key, list := field(e.root, "nodes")
	switch {
	case len(list.Content) == 0:
		e.addFirst(key, list, n)
	case list.Style&yaml.FlowStyle != 0:
		e.addInFlow(list.Content[len(list.Content)-1], n)
	default:
		e.addInBlock(list, n)
	}
}

// addFirst makes a list of blocks out of an empty one, if the file is not JSON or all in braces.
func (e *editor) addFirst(key, list *yaml.Node, n Node) {
	off := e.offset(list)
	if end := off + len("[]"); !isNull(list) && (e.root.Style&yaml.FlowStyle != 0 || !bytes.HasPrefix(e.text[off:], []byte("[]"))) {
		e.insert(off+1, e.entry(entryStyle{flow: true, key: quote(key), name: `"`, ip: `"`}, "", n))
		return
	} else if !isNull(list) {
		before := len(bytes.TrimRight(e.text[:off], " "))
		e.edits = append(e.edits, edit{before, end - before, ""})
	}
	indent := spaces(key.Column - 1)
	e.insert(e.nextLine(off), indent+"- "+e.entry(entryStyle{key: quote(key), column: key.Column + 1}, "", n)+e.eol)
}

// addInBlock writes behind the last entry, ahead of comments that are about what follows.
func (e *editor) addInBlock(list *yaml.Node, n Node) {
	last := list.Content[len(list.Content)-1]
	gap := 1
	if e.onLineOfDash(last) {
		gap = last.Column - list.Column - 1
	}
	style := e.styleOf(last)
	style.column = list.Column + gap
	outer := ""
	if style.lines {
		off := e.offset(last)
		outer = e.indentOf(off + closingBracket(e.text[off:]))
	}
	e.insert(e.blockEnd(list.Column), spaces(list.Column-1)+"-"+spaces(gap)+e.entry(style, outer, n)+e.eol)
}

func (e *editor) onLineOfDash(entry *yaml.Node) bool {
	off := e.offset(entry)
	return bytes.HasPrefix(bytes.TrimLeft(e.text[e.lineStart(off):off], " "), []byte("-"))
}

// blockEnd is the offset behind the last line of nodes. Comments that are indented further than a
// dash belong to the entry above them.
func (e *editor) blockEnd(column int) int {
	end := len(e.text)
	for i := 0; i+2 < len(e.root.Content); i += 2 {
		if e.root.Content[i].Value == "nodes" {
			end = e.lineStart(e.offset(e.root.Content[i+2]))
		}
	}
	for end > 0 {
		start := e.lineStart(end - 1)
		line := strings.TrimRight(string(e.text[start:end]), " \t\r\n")
		text := strings.TrimLeft(line, " \t")
		about := strings.HasPrefix(text, "#") && len(line)-len(text) < column || line == "..."
		if text != "" && !about {
			break
		}
		end = start
	}
	return end
}

// addInFlow writes behind the last entry's brace.
func (e *editor) addInFlow(last *yaml.Node, n Node) {
	off := e.offset(last)
	end := off + closingBracket(e.text[off:]) + 1
	e.insertInFlow(off, end, e.entry(e.styleOf(last), e.indentOf(end), n))
}

func (e *editor) styleOf(entry *yaml.Node) entryStyle {
	key, name := field(entry, "name")
	s := entryStyle{flow: entry.Style&yaml.FlowStyle != 0, key: quote(key), name: quote(name),
		ip: quote(child(entry, "ip"))}
	if first := e.offset(entry.Content[0]); s.flow && e.beginsLine(first) {
		s.lines, s.fields = true, e.indentOf(first)
	}
	return s
}

// entry is a whole entry without what stands before it; outer is the indentation of a brace that
// ends a line of its own.
func (e *editor) entry(s entryStyle, outer string, n Node) string {
	name, ip := s.name, s.ip
	if name == "" && !isPlainText(n.Name) {
		name = `"`
	}
	if ip == "" && n.IP.Is6() {
		ip = `"` // readers of YAML 1.1 take some for numbers to the base of 60
	}
	fields := []string{s.key + "name" + s.key + ": " + name + n.Name + name,
		s.key + "ip" + s.key + ": " + ip + n.IP.String() + ip}
	if !s.flow {
		fields = append(fields, e.podCIDRs(s.key, s.column, n.PodCIDRs))
		return strings.Join(fields, e.eol+spaces(s.column))
	}
	fields = append(fields, e.flowPodCIDRs(s.key, n.PodCIDRs))
	if s.lines {
		return "{" + e.eol + s.fields + strings.Join(fields, ","+e.eol+s.fields) + e.eol + outer + "}"
	}
	return "{" + strings.Join(fields, ", ") + "}"
}

// isPlainText: YAML takes the word for the very text without quotes.
func isPlainText(s string) bool {
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(s), &doc); err != nil || len(doc.Content) != 1 {
		return false
	}
	n := doc.Content[0]
	return n.Kind == yaml.ScalarNode && n.Value == s && meaningOf(n) == ""
}

// closingBracket finds the end of a flow collection that begins the text; brackets in quotes and
// comments are none.
func closingBracket(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '[' || c == '{':
			depth++
		case c == ']' || c == '}':
			if depth--; depth == 0 {
				return i
			}
		case c == '"' || c == '\'':
			i += closingQuote(text[i:])
		case c == '#' && i > 0 && strings.IndexByte(" \t\n", text[i-1]) >= 0:
			i += bytes.IndexByte(text[i:], '\n')
		}
	}
	return len(text) - 1
}
