package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// yamlTree parses the one document of a file, nil after a fault.
func (r *reader) yamlTree(data []byte) *yaml.Node {
	data = withKnownVersion(data)
	dec := yaml.NewDecoder(bytes.NewReader(data))
	first, err := decodeYAML(dec)
	switch {
	case errors.Is(err, io.EOF) || err == nil && isEmptyDocument(first):
		r.faultAt(position{line: 1, column: 1}, "", "the file holds no document",
			"a topology begins with apiVersion: "+APIVersion)
		return nil
	case err != nil:
		r.yamlFault(data, err)
		return nil
	}
	if second, err := decodeYAML(dec); err == nil {
		r.faultAt(secondDocument(data, second), "", "a second document begins here",
			"one document; remove the --- and what belongs to the other")
	} else if !errors.Is(err, io.EOF) {
		r.yamlFault(data, err)
	}
	return first.Content[0]
}

// withKnownVersion makes a %YAML 1.2 before the document one that the parser knows, with every byte
// at its place. Where the two versions read a value differently the file is refused anyway, unless
// it is quoted.
func withKnownVersion(data []byte) []byte {
	line, version := versionDirective(data)
	if version != "1.2" {
		return data
	}
	data = bytes.Clone(data)
	data[line+bytes.IndexByte(data[line:], '2')] = '1'
	return data
}

// versionDirective finds the offset of a %YAML line before the document, and what it says; "":
// there is none.
func versionDirective(data []byte) (off int, version string) {
	for off < len(data) {
		line, _, _ := bytes.Cut(data[off:], []byte("\n"))
		words := bytes.Fields(line)
		switch {
		case len(words) > 1 && bytes.HasPrefix(line, []byte("%YAML")) && len(words[0]) == len("%YAML"):
			return off, string(words[1])
		case len(words) > 0 && line[0] != '%' && words[0][0] != '#':
			return 0, ""
		}
		off += len(line) + 1
	}
	return 0, ""
}

func isEmptyDocument(doc *yaml.Node) bool {
	return len(doc.Content) == 0 || isNull(doc.Content[0]) && doc.Content[0].Value == ""
}

// decodeYAML turns a panic of the parser into an error: a file must never be able to stop a daemon.
func decodeYAML(dec *yaml.Decoder) (doc *yaml.Node, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("yaml: %v", p)
		}
	}()
	doc = new(yaml.Node)
	return doc, dec.Decode(doc)
}

// secondDocument finds the line with dashes that opens it: the last such line that is not behind
// its first node.
func secondDocument(data []byte, doc *yaml.Node) position {
	at := position{line: max(doc.Line, 1), column: 1, mark: "---"}
	c := cursor{data: data}
	for {
		if c.line >= doc.Line && doc.Line > 0 {
			return at
		}
		if bytes.HasPrefix(c.text(), []byte("---")) {
			at.line = c.line + 1
		}
		next := bytes.IndexByte(c.data[c.off:], '\n')
		if next < 0 {
			return at
		}
		c.nextLine(c.off + next + 1)
	}
}

// yamlFault puts what the parser says into an operator's words, at the place where the mistake is.
func (r *reader) yamlFault(data []byte, err error) {
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	reported := 0
	if m := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(problem); m != nil {
		reported, _ = strconv.Atoi(m[1])
		problem = problem[len(m[0]):]
	}
	if anchor, ok := strings.CutPrefix(problem, "unknown anchor "); ok {
		r.unknownAlias(data, strings.Trim(strings.TrimSuffix(anchor, " referenced"), "'"))
		return
	}
	at := lastLine(data, readUntilFault(data))
	if opened, ok := openedAt(problem, reported); ok {
		at = wholeLine(data, opened)
	}
	if off, version := versionDirective(data); version != "" && strings.HasPrefix(problem, "found incompatible") {
		at = lastLine(data, off+1)
	}
	r.faultAt(at, "", "not valid YAML: "+problem, yamlRemedy(problem))
}

// unknownAlias: the parser refuses it itself, without a place; it has just read it.
func (r *reader) unknownAlias(data []byte, name string) {
	alias := "*" + name
	at := position{line: 1, column: 1}
	if off := bytes.LastIndex(data[:readUntilFault(data)], []byte(alias)); off >= 0 {
		at = positionOf(data, off)
	}
	at.mark = alias
	r.faultAt(at, "", "aliases ("+alias+") are not allowed", "write the value out, or quote it")
}

// openedAt is the line of what is never closed, if that is the problem: where the parser gives up
// is far from the mistake. The parser counts lines from 1 for some problems and from 0 for others.
func openedAt(problem string, reported int) (int, bool) {
	switch {
	case reported == 0:
		return 0, false
	case strings.HasPrefix(problem, "did not find expected ',' or"):
		return reported + 1, true
	case strings.HasPrefix(problem, "found unexpected end of stream"),
		strings.HasPrefix(problem, "could not find expected ':'"):
		return reported, true
	}
	return 0, false
}

func yamlRemedy(problem string) string {
	for _, known := range [...]struct{ begins, remedy string }{
		{"mapping values are not allowed",
			"quote a value that ends in a colon or has one before a space; or the line is indented too far"},
		{"found a tab", "indent with spaces, not with tabs"},
		{"found character that cannot start",
			"indent with spaces, not with tabs; quote a value that begins with one of @ ` %"},
		{"did not find expected key", "indent the line like the one above that it belongs to"},
		{"did not find expected '-'", "indent the line like the one above that it belongs to"},
		{"did not find expected ',' or", "close every [ and { that is open in this line"},
		{"found unexpected end of stream", "close the quote that is open in this line"},
		{"could not find expected ':'", "write FIELD: VALUE, with a space after the colon"},
		{"found incompatible YAML document", "remove the %YAML line; without one the file is YAML 1.2"},
		{"exceeded", "a topology nests 4 levels deep"},
	} {
		if strings.HasPrefix(problem, known.begins) {
			return known.remedy
		}
	}
	return ""
}

// readUntilFault is how far the parser reads before it gives up. It tells lines only, often of what
// surrounds the mistake; but fed byte by byte it stops right behind the mistake itself.
func readUntilFault(data []byte) int {
	feed := &byteFeed{data: data}
	dec := yaml.NewDecoder(feed)
	for err := error(nil); err == nil; {
		_, err = decodeYAML(dec)
	}
	return feed.off
}

// lastLine is the line of the last character before an offset.
func lastLine(data []byte, off int) position {
	return wholeLine(data, bytes.Count(bytes.TrimRight(data[:off], "\r\n"), []byte("\n"))+1)
}

// byteFeed gives one byte a call.
type byteFeed struct {
	data []byte
	off  int
}

func (f *byteFeed) Read(p []byte) (int, error) {
	if f.off == len(f.data) {
		return 0, io.EOF
	}
	p[0] = f.data[f.off]
	f.off++
	return 1, nil
}

// wholeLine points to all of a line's text, or to the tab in its indentation.
func wholeLine(data []byte, line int) position {
	c := cursor{data: data}
	c.moveToPlace(line, 1)
	text := string(c.text())
	indent := len(text) - len(strings.TrimLeft(text, " "))
	at := position{line: c.line + 1, column: indent + 1, mark: strings.TrimSpace(text)}
	if strings.HasPrefix(text[indent:], "\t") {
		at.mark = "\t"
	}
	return at
}
