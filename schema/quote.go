package schema

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// quoteWidth is how much of a line is shown: 98 columns less the line number.
const quoteWidth = 98 - len("123456 | ")

// quoteAll puts faults in the order of the file and gives each the line it is about, copied, so
// that nothing keeps the file.
func quoteAll(data []byte, all []found) []Fault {
	if len(all) == 0 {
		return nil
	}
	slices.SortStableFunc(all, func(a, b found) int { return compareFaults(a.Fault, b.Fault) })
	at := cursor{data: data}
	faults := make([]Fault, len(all))
	for i, f := range all {
		at.moveToPlace(f.Line, f.Column)
		faults[i] = f.quoted(&at)
	}
	return faults
}

// quoted completes a fault from the line it is in. Quotes are not marked, what is in them is.
func (f found) quoted(at *cursor) Fault {
	line := at.text()
	off := min(at.off-at.start, len(line))
	off, end := markedBytes(line, off, f.mark)
	f.Column += utf8.RuneCount(line[at.off-at.start : max(off, at.off-at.start)])
	f.width = utf8.RuneCount(line[off:end])
	f.quote, f.indent, f.width = window(line, off, f.Column-1, f.width)
	return f.Fault
}

// markedBytes is the part of a line that a mark begins at off covers.
func markedBytes(line []byte, off int, mark string) (start, end int) {
	rest := line[off:]
	switch {
	case len(rest) == 0:
		return off, off
	case rest[0] == '"' || rest[0] == '\'':
		if n := closingQuote(rest); n > 1 {
			return off + 1, off + n
		} else if n == 1 {
			return off, off + 2
		}
		return off, len(line)
	case mark == "":
		_, size := utf8.DecodeRune(rest)
		return off, off + size
	case bytes.HasPrefix(rest, []byte(mark)):
		return off, off + len(mark)
	}
	return off, off + len(bytes.TrimRight(rest, " \t"))
}

// closingQuote finds the end of a quoted text, 0 if it is not in this line.
func closingQuote(text []byte) int {
	quote := text[0]
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] == '\\' && quote == '"':
			i++
		case text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == '\'':
			i++
		case text[i] == quote:
			return i
		}
	}
	return 0
}

// window is what is shown of a line: all of it, or the surroundings of the mark if it is long (JSON
// may be a single line). off and column are both where the mark begins, in bytes and in characters;
// width is in characters. Nothing here looks at all of a long line, which may have thousands of
// faults.
func window(line []byte, off, column, width int) (text string, indent, marked int) {
	const before = quoteWidth / 3
	from, to, lead, trail := 0, len(line), "", ""
	if len(line) > utf8.UTFMax*quoteWidth || utf8.RuneCount(line) > quoteWidth {
		if column > before {
			from, lead = back(line, off, before), "..."
		}
		to = forward(line, from, quoteWidth-2*len("..."))
		if to < len(line) {
			trail = "..."
		}
	}
	shown := strings.Map(printable, string(line[from:to]))
	indent = len(lead) + utf8.RuneCount(line[from:off])
	marked = max(1, min(width, len(lead)+utf8.RuneCountInString(shown)-indent))
	return lead + shown + trail, indent, marked
}

func back(line []byte, off, n int) int {
	for ; n > 0 && off > 0; n-- {
		_, size := utf8.DecodeLastRune(line[:off])
		off -= size
	}
	return off
}

func forward(line []byte, off, n int) int {
	for ; n > 0 && off < len(line); n-- {
		_, size := utf8.DecodeRune(line[off:])
		off += size
	}
	return off
}

// printable keeps one column a character: a file must not be able to move the cursor of whoever
// reads the message.
func printable(c rune) rune {
	switch {
	case c == '\t':
		return ' '
	case c == utf8.RuneError || !unicode.IsPrint(c):
		return '?'
	}
	return c
}
