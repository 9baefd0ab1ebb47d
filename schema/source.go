package schema

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// MaxBytes bounds a file: 50,000 nodes are 6 MiB, so what is larger is not a topology. Who reads
// one needs a byte more, so that Parse sees that it is too large.
const MaxBytes = 64 << 20

// checkText finds what no topology may contain whatever its syntax. False: there is no point in
// reading on. Characters that only some programs take for a line break are refused so that line
// numbers mean the same everywhere.
func (r *reader) checkText(data []byte) bool {
	if len(data) > MaxBytes {
		r.faultAt(position{line: 1, column: 1}, "", "the file is too large", "at most 64 MiB")
		return false
	}
	if off, what := badCharacter(data); off >= 0 {
		r.faultAt(positionOf(data, off), "", what, "plain UTF-8 text")
		return false
	}
	if len(bytes.TrimSpace(data)) == 0 {
		r.faultAt(position{line: 1, column: 1}, "", "the file is empty", "a topology begins with apiVersion: "+APIVersion)
		return false
	}
	if data[len(data)-1] != '\n' {
		r.faultAt(positionOf(data, len(data)-1), "", "the last line does not end, so the file was probably cut off",
			"the last byte is a newline")
	}
	return r.checkSize(data)
}

// badCharacter finds the first byte that is not plain text, -1 if there is none.
func badCharacter(data []byte) (int, string) {
	for i := 0; i < len(data); {
		c := data[i]
		switch {
		case c >= 0x20 && c < 0x7f || c == '\n' || c == '\t':
			i++
			continue
		case c == '\r' && i+1 < len(data) && data[i+1] == '\n':
			i += 2
			continue
		case c == 0:
			return i, "a NUL byte: not a text file, or one that lost its content when the machine failed"
		case c == '\r':
			return i, "a carriage return without a line feed"
		case c < 0x80:
			return i, fmt.Sprintf("the control character 0x%02x", c)
		}
		char, size := utf8.DecodeRune(data[i:])
		if char == utf8.RuneError && size == 1 {
			return i, fmt.Sprintf("the byte 0x%02x, which is not UTF-8", c)
		}
		if char < 0xa0 || char == '\u2028' || char == '\u2029' || char == '\ufeff' || char == '\ufffe' || char == '\uffff' {
			return i, fmt.Sprintf("the invisible character %U", char)
		}
		i += size
	}
	return -1, ""
}

// withoutBOM drops the byte order mark that some editors put first; it says nothing in UTF-8.
func withoutBOM(data []byte) []byte { return bytes.TrimPrefix(data, []byte("\ufeff")) }

// position is a place in the file; mark is the text that stands there, as the parser read it, if it
// is a scalar.
type position struct {
	line, column int // from 1; columns are characters
	mark         string
}

// positionOf is the place of a byte.
func positionOf(data []byte, off int) position {
	c := cursor{data: data}
	c.moveTo(off)
	return position{line: c.line + 1, column: c.column + 1}
}

// cursor knows line and column of a byte offset and moves forward only, so that many places of one
// long line cost one walk through it.
type cursor struct {
	data         []byte
	off          int
	line, column int // from 0
	start        int // offset of the line's first byte
	end          int // offset of the line's end, once text has looked for it
}

func (c *cursor) moveTo(off int) {
	for c.off < off {
		next := bytes.IndexByte(c.data[c.off:off], '\n')
		if next < 0 {
			c.column += utf8.RuneCount(c.data[c.off:off])
			c.off = off
			return
		}
		c.nextLine(c.off + next + 1)
	}
}

func (c *cursor) nextLine(start int) {
	c.off, c.start, c.end, c.column = start, start, 0, 0
	c.line++
}

// moveToPlace goes to a line and column, both from 1; one past the end stops at the end of the line
// or of the file.
func (c *cursor) moveToPlace(line, column int) {
	for c.line < line-1 {
		next := bytes.IndexByte(c.data[c.off:], '\n')
		if next < 0 {
			return
		}
		c.nextLine(c.off + next + 1)
	}
	for c.column < column-1 && c.off < len(c.data) && c.data[c.off] != '\n' {
		_, size := utf8.DecodeRune(c.data[c.off:])
		c.off += size
		c.column++
	}
}

// text is the line the cursor is in, without its line break.
func (c *cursor) text() []byte {
	if c.end == 0 {
		c.end = len(c.data)
		if length := bytes.IndexByte(c.data[c.start:], '\n'); length >= 0 {
			c.end = c.start + length
		}
	}
	return bytes.TrimSuffix(c.data[c.start:c.end], []byte("\r"))
}
