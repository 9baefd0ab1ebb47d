package schema

import (
	"strings"
	"unicode"
)

// suggest is the remedy for a field that does not exist.
func suggest(name string, fields []string) string {
	best, distance := "", 3 // two slips of the finger at most
	for _, field := range fields {
		if bare(field) == bare(name) {
			return "write " + field
		}
		if gap := len(bare(name)) - len(bare(field)); gap >= distance || -gap >= distance {
			continue // that many letters to add or to take away at least
		}
		if d := editDistance(bare(name), bare(field)); d < distance && d < len(field) {
			best, distance = field, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "known here: " + strings.Join(fields, ", ") + "; a newer field needs a newer podnet"
}

// bare is a name without what people get wrong first: case, dashes and underscores.
func bare(name string) string {
	if len(name) > 64 {
		name = name[:64] // no field is near it, and it must not cost much
	}
	return strings.Map(func(c rune) rune {
		if c == '-' || c == '_' {
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// editDistance counts letters to insert, delete, replace or swap with their neighbour.
func editDistance(a, b string) int {
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
