package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxDepth bounds the recursion over JSON; a topology nests four levels deep.
const maxDepth = 100

// isJSON tells by content: a brace and then a quoted name or nothing. Braces are YAML too, but
// nobody quotes names there.
func isJSON(data []byte) bool {
	rest := bytes.TrimLeft(data, " \t\r\n")
	if len(rest) == 0 || rest[0] != '{' {
		return false
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n")
	return len(rest) == 0 || rest[0] == '"' || rest[0] == '}'
}

// jsonTree gives JSON the same tree as YAML, positions included, nil after a fault.
func (r *reader) jsonTree(data []byte) *yaml.Node {
	t := &jsonTokens{dec: json.NewDecoder(bytes.NewReader(data)), at: cursor{data: data}}
	t.dec.UseNumber()
	root, err := t.value(0)
	if err == nil {
		if err = t.end(); err == nil {
			return root
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		end := len(bytes.TrimRight(data, " \t\r\n"))
		r.faultAt(positionOf(data, max(end-1, 0)), "", "not valid JSON: the file ends in the middle", "push the whole file")
		return nil
	}
	message := strings.TrimPrefix(err.Error(), "json: ")
	r.faultAt(positionOf(data, t.problem(err)), "", "not valid JSON: "+message, "")
	return nil
}

// jsonTokens reads tokens and knows where each begins.
type jsonTokens struct {
	dec   *json.Decoder
	at    cursor
	nodes []yaml.Node // a store to take nodes from, many to an allocation
}

func (t *jsonTokens) next() (json.Token, *yaml.Node, error) {
	t.skip()
	n := t.node()
	token, err := t.dec.Token()
	return token, n, err
}

// skip moves to the next token's first byte: the decoder tells only where the last one ended.
func (t *jsonTokens) skip() {
	off := int(t.dec.InputOffset())
	for off < len(t.at.data) && strings.IndexByte(" \t\r\n,:", t.at.data[off]) >= 0 {
		off++
	}
	t.at.moveTo(off)
}

func (t *jsonTokens) node() *yaml.Node {
	if len(t.nodes) == 0 {
		t.nodes = make([]yaml.Node, 256)
	}
	n := &t.nodes[0]
	t.nodes = t.nodes[1:]
	n.Line, n.Column = t.at.line+1, t.at.column+1
	return n
}

func (t *jsonTokens) value(depth int) (*yaml.Node, error) {
	token, n, err := t.next()
	if err != nil {
		return nil, err
	}
	if delim, ok := token.(json.Delim); ok {
		return n, t.collection(n, delim, depth+1)
	}
	n.Kind = yaml.ScalarNode
	switch token := token.(type) {
	case string:
		n.Tag, n.Style, n.Value = "!!str", yaml.DoubleQuotedStyle, token
	case json.Number:
		n.Tag, n.Value = "!!float", token.String()
	case bool:
		n.Tag, n.Value = "!!bool", fmt.Sprint(token)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n, nil
}

func (t *jsonTokens) collection(n *yaml.Node, open json.Delim, depth int) error {
	if depth > maxDepth {
		return errors.New("it is nested too deeply")
	}
	n.Style, n.Kind = yaml.FlowStyle, yaml.SequenceNode
	if open == '{' {
		n.Kind = yaml.MappingNode
	}
	for t.dec.More() {
		child, err := t.value(depth)
		if err != nil {
			return err
		}
		n.Content = append(n.Content, child)
	}
	_, err := t.dec.Token() // the closing bracket
	return err
}

// end refuses anything after the document.
func (t *jsonTokens) end() error {
	t.skip()
	_, err := t.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return errors.New("a second document begins here; a file holds one")
}

// problem is the offset of what the error is about.
func (t *jsonTokens) problem(err error) int {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok && syntax.Offset > 0 {
		return int(syntax.Offset) - 1
	}
	return t.at.off
}
