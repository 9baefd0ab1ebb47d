package schema

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const anyQuotes = yaml.DoubleQuotedStyle | yaml.SingleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle

func isQuoted(n *yaml.Node) bool { return n.Style&anyQuotes != 0 }

// isNull: nothing was written, or a word that YAML takes for nothing.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && !isQuoted(n) }

// scalar refuses whatever is not a single value.
func (r *reader) scalar(v value, want, remedy string) bool {
	if !r.plain(v) {
		return false
	}
	switch {
	case v.n.Kind != yaml.ScalarNode:
		r.wrong(v, "is "+kindOf(v.n)+", not "+want, remedy)
		return false
	case isNull(v.n):
		r.wrong(v, "is empty", remedy)
		return false
	}
	return true
}

// text reads a string. An unquoted word that some YAML reader makes something else of is refused:
// two programs would read two names. The empty text is nothing that a field could mean either;
// vtepMAC, where it may stand, asks before.
func (r *reader) text(v value, remedy string) (string, bool) {
	if !r.scalar(v, "text", remedy) {
		return "", false
	}
	if meaning := meaningOf(v.n); meaning != "" {
		r.wrong(v, show(v.n.Value)+" without quotes is "+meaning+", not text",
			"if it is meant, write "+strconv.Quote(v.n.Value))
		return "", false
	}
	if v.n.Value == "" {
		r.wrong(v, "is empty", remedy)
		return "", false
	}
	return v.n.Value, true
}

// meaningOf says what YAML makes of an unquoted scalar, empty: text.
func meaningOf(n *yaml.Node) string {
	if isQuoted(n) {
		return ""
	}
	switch n.Tag {
	case "!!str":
		if isYAML11Bool(n.Value) {
			return "a boolean"
		}
		return ""
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	case "!!int", "!!float":
		return "a number"
	}
	return "something else to YAML"
}

// isYAML11Bool: the words that readers of YAML 1.1 (Ansible's among them) take for a boolean; ours
// does not.
func isYAML11Bool(s string) bool {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off":
		return s == strings.ToLower(s) || s == strings.ToUpper(s) || s[1:] == strings.ToLower(s[1:])
	}
	return false
}

// integer reads a plain decimal number within bounds; remedy names them.
func (r *reader) integer(v value, low, high int, remedy string) (int, bool) {
	if !r.scalar(v, "a number", remedy) {
		return 0, false
	}
	text := v.n.Value
	switch {
	case !isDecimal(text):
		r.wrong(v, show(text)+" is not a plain decimal number", remedy)
		return 0, false
	case isQuoted(v.n):
		r.wrong(v, "a number in quotes is text", "write "+text+" without them")
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		r.wrong(v, text+" is out of range", remedy)
		return 0, false
	}
	return n, true
}

// isDecimal: digits without a leading zero, and a sign at most; the one form that every reader
// takes for the same number.
func isDecimal(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || len(digits) > 1 && digits[0] == '0' || s == "-0" {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

func (r *reader) boolean(v value, otherwise bool) bool {
	const remedy = "true or false"
	if !r.scalar(v, "a boolean", remedy) {
		return otherwise
	}
	if v.n.Tag != "!!bool" || isQuoted(v.n) {
		message := show(v.n.Value) + " is neither true nor false"
		if isQuoted(v.n) {
			message = "a boolean in quotes is text"
		}
		r.wrong(v, message, "write true or false, without quotes")
		return otherwise
	}
	return strings.EqualFold(v.n.Value, "true")
}

// show prints a value that may be anything: as it is where that is safe and short.
func show(s string) string {
	const most = 80
	cut := ""
	if len(s) > most {
		s, cut = s[:most], "..."
	}
	for _, c := range s {
		if c <= ' ' || c > '~' {
			return strconv.Quote(s) + cut
		}
	}
	if s == "" {
		return `""`
	}
	return s + cut
}

// plural counts things: 1 node, 2 nodes.
func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
