// Package shell writes words for a POSIX shell. Names of links, chains and files are data that
// somebody else chose, a pod for instance, and they are put into commands that an operator pastes
// as root. It is pure.
package shell

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quote returns the word so that a shell reads it as one argument and executes nothing in it. A
// word that no terminal shows as it is, because it holds control characters or turns the direction
// of writing, is spelled in octal for printf.
func Quote(word string) string {
	switch {
	case plain(word):
		return word
	case Printable(word) == word:
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return `"$(printf '` + octal(word) + `')"`
}

// Join quotes each word and puts blanks between them.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// plain reports whether a word means itself to every shell.
func plain(word string) bool {
	const safe = "/.-_+:,=@%"
	for _, c := range word {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(safe, c)) {
			return false
		}
	}
	return word != ""
}

// octal spells each byte that is no letter or digit of ASCII as printf(1) reads it.
func octal(word string) string {
	var b strings.Builder
	for _, c := range []byte(word) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, `\%03o`, c)
	}
	return b.String()
}

// Printable returns the text with everything escaped, in the way of a Go string, that a terminal
// does not show as one character: control characters, bytes that are no UTF-8, marks of the
// direction of writing. A text without any is returned as it is.
func Printable(text string) string {
	shown := func(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }
	if strings.IndexFunc(text, func(r rune) bool { return !shown(r) }) < 0 {
		return text
	}
	var b strings.Builder
	for len(text) > 0 {
		r, size := utf8.DecodeRuneInString(text)
		switch {
		case shown(r):
			b.WriteString(text[:size])
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, text[0])
		default:
			quoted := fmt.Sprintf("%+q", r) // in single quotes
			b.WriteString(quoted[1 : len(quoted)-1])
		}
		text = text[size:]
	}
	return b.String()
}
