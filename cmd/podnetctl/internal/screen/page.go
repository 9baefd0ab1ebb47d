// Package screen is what podnetctl shows a person: values in, text out. It knows no files, no
// kernel and no clock.
package screen

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/podnet/podnet/state/shell"
)

// FullWidth is the widest that a line gets, and the width without a terminal.
const FullWidth = 98

// Style is what the reader's terminal can do.
type Style struct {
	Width  int // columns; 0, or more than FullWidth: FullWidth
	Colour bool
}

// hue is how a text stands out on a terminal that has colours.
type hue string

const (
	plain  hue = ""
	bold   hue = "1"
	dim    hue = "2"
	green  hue = "32"
	yellow hue = "33"
	red    hue = "31"
	alarm  hue = "1;31"
)

// page lays lines out. It keeps the first error of its writer for close.
type page struct {
	out    *bufio.Writer
	width  int
	colour bool
}

func newPage(w io.Writer, s Style) *page {
	if s.Width <= 0 || s.Width > FullWidth {
		s.Width = FullWidth
	}
	return &page{out: bufio.NewWriter(w), width: s.Width, colour: s.Colour}
}

func (p *page) close() error { return p.out.Flush() }

// span is a piece of a line.
type span struct {
	text string
	hue  hue
}

func text(format string, args ...any) span { return span{text: fmt.Sprintf(format, args...)} }

func (s span) width() int { return utf8.RuneCountInString(s.text) }

func (p *page) blank() { p.out.WriteByte('\n') }

// write writes a part of a line. Whatever a terminal does not show as a character is escaped, since
// texts hold names that pods and other programs chose. It ignores errors: a bufio.Writer keeps the
// first and Flush returns it.
func (p *page) write(spans ...span) {
	for _, s := range spans {
		shown := shell.Printable(s.text)
		if p.colour && s.hue != plain && shown != "" {
			fmt.Fprintf(p.out, "\x1b[%sm%s\x1b[0m", s.hue, shown)
			continue
		}
		p.out.WriteString(shown)
	}
}

// digits is how much room the line number of a FILE:LINE gets, its colon and the gap before it
// included.
const digits = 8

// line writes spans and, on a terminal of full width, the FILE:LINE that they come from in a column
// of its own. Of a line with such a place, the last span goes on below if it is too long.
func (p *page) line(place string, spans ...span) {
	const hanging = 10
	if place == "" {
		p.write(spans...)
		p.blank()
		return
	}
	last := spans[len(spans)-1]
	spans = spans[:len(spans)-1]
	for _, s := range p.wrap(last.text, max(width(spans), hanging)+p.placeWidth(place)) {
		spans = append(spans, span{s, last.hue})
		p.write(spans...)
		p.place(place, width(spans))
		p.blank()
		place, spans = "", []span{text("%*s", hanging, "")}
	}
}

// place writes a FILE:LINE behind what is that wide.
func (p *page) place(place string, width int) {
	if p.placeWidth(place) > 0 {
		place = filepath.Base(place)
		gap := max(p.width-strings.LastIndexByte(place, ':')-digits-width, 2)
		gap = max(min(gap, p.width-utf8.RuneCountInString(place)-width), 2)
		p.write(text("%*s", gap, ""), span{place, dim})
	}
}

// placeWidth is the room that a FILE:LINE needs beside a text.
func (p *page) placeWidth(place string) int {
	if place == "" || p.width < FullWidth {
		return 0
	}
	return 2 + utf8.RuneCountInString(filepath.Base(place))
}

func width(spans []span) (total int) {
	for _, s := range spans {
		total += s.width()
	}
	return total
}

// wrap breaks a text at blanks so that it ends before the last column when it begins in the given
// one. Runs of blanks inside a line stay, and so do the lines of a text that has several.
func (p *page) wrap(s string, column int) (lines []string) {
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, p.wrapLine(shell.Printable(line), column)...)
	}
	return lines
}

func (p *page) wrapLine(s string, column int) []string {
	const least = 20
	room := max(p.width-column, least)
	var lines []string
	for utf8.RuneCountInString(s) > room {
		at := strings.LastIndexByte(s[:byteOf(s, room+1)], ' ')
		if at <= 0 {
			if at = strings.IndexByte(s, ' '); at < 0 {
				break
			}
		}
		lines = append(lines, strings.TrimRight(s[:at], " "))
		s = strings.TrimLeft(s[at:], " ")
	}
	return append(lines, s)
}

// byteOf is the offset of a character.
func byteOf(s string, character int) int {
	for i := range s {
		if character == 0 {
			return i
		}
		character--
	}
	return len(s)
}

// plural is a number and its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// ShortDigest is enough of a digest for a person to compare.
func ShortDigest(digest string) string {
	const shown = len("sha256:") + 12
	return digest[:min(len(digest), shown)]
}
