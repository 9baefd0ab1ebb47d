package schema

import "strconv"

// maxValues bounds how many values a file may write down. 50,000 dual-stack nodes with every field,
// one value to a line, are 0.9 million. The parser takes up to 300 bytes for a value, so it is
// refused before the parser sees it: a file of 64 MiB can hold 30 million.
const maxValues = 1_000_000

// checkSize refuses a file that writes down more values than a topology has. It takes no memory,
// whatever the file holds.
func (r *reader) checkSize(data []byte) bool {
	off := placeOfValue(data, maxValues)
	if off < 0 {
		return true
	}
	r.faultAt(positionOf(data, off), "",
		"the file holds more than "+strconv.Itoa(maxValues)+" values, so it is no topology",
		"50,000 nodes with every field have fewer; is it another file under this name?")
	return false
}

// placeOfValue returns the offset at which the value behind so many others is told from them, -1 if
// there are fewer. Values are told apart by what YAML and JSON put between or before them: a
// bracket that opens, a comma, a dash, a question mark, or the end of a line that ends with none of
// these. One too many is counted where such a character stands in a text or comment.
func placeOfValue(data []byte, most int) int {
	values, told := 0, true // told: nothing but space stands behind the last thing that was counted
	for i, c := range data {
		switch c {
		case ' ', '\t', '\r':
			continue
		case '\n':
			if told {
				continue
			}
			told = true
		case '[', '{', ',':
			told = true
		case '-', '?':
			if i+1 < len(data) && !blank(data[i+1]) {
				told = false
				continue
			}
			told = true
		default:
			told = false
			continue
		}
		if values++; values > most {
			return i
		}
	}
	return -1
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
