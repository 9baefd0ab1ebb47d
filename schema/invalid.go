package schema

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"strings"
)

// Invalid is the error of a file with faults: all of them, in the order of the file.
type Invalid struct {
	File     string
	Faults   []Fault // at least one
	Warnings []Fault
	Nodes    int // entries of nodes, whatever they are worth
	Omitted  int // faults beyond the ten thousand that are kept

	// Miscounted is what the file says if nothing is wrong with it but its nodeCount, to tell what
	// is missing; nil otherwise.
	Miscounted *Topology
}

// Error is a line for a log: the first fault and how many more.
func (e *Invalid) Error() string {
	if len(e.Faults) == 0 {
		return e.File + ": is not valid"
	}
	s := e.File + ":" + e.Faults[0].String()
	if more := len(e.Faults) - 1 + e.Omitted; more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}

// WriteText writes every fault and warning with its line quoted, and the closing line. paint may be
// nil.
func (e *Invalid) WriteText(w io.Writer, paint Paint) error {
	return writeReport(w, e.File, e.Faults, e.Warnings, e.Omitted, e.Nodes, paint)
}

// WriteText writes the warnings of a valid file as Invalid.WriteText does, and the closing line.
// paint may be nil.
func (t *Topology) WriteText(w io.Writer, paint Paint) error {
	return writeReport(w, t.File, nil, t.Warnings, 0, len(t.Nodes), paint)
}

// Part is a part of the report that may have a colour.
type Part int

// The parts of a report. What is none of them is written as it is.
const (
	PartPlace       Part = iota // FILE:LINE:COLUMN: and the line number beside a quoted line
	PartMark                    // the marker under what is wrong
	PartWarning                 // the word warning
	PartWarningMark             // the marker under what is warned of
)

// Paint adds a colour to a text. It must not change what the text says.
type Paint func(part Part, text string) string

func writeReport(w io.Writer, file string, faults, warnings []Fault, omitted, nodes int, paint Paint) error {
	if paint == nil {
		paint = func(_ Part, text string) string { return text }
	}
	out := bufio.NewWriter(w)
	errorCount, warningCount := len(faults)+omitted, len(warnings)
	for len(faults) > 0 || len(warnings) > 0 {
		if len(warnings) == 0 || len(faults) > 0 && compareFaults(faults[0], warnings[0]) <= 0 {
			faults[0].write(out, file, "", PartMark, paint)
			faults = faults[1:]
			continue
		}
		warnings[0].write(out, file, paint(PartWarning, "warning:")+" ", PartWarningMark, paint)
		warnings = warnings[1:]
	}
	if omitted > 0 {
		fmt.Fprintf(out, "... and %d more\n", omitted)
	}
	fmt.Fprintf(out, "%s: %s, %s, %s\n", file, plural(errorCount, "error"), plural(warningCount, "warning"),
		plural(nodes, "node"))
	return out.Flush()
}

// write ignores errors: a bufio.Writer keeps the first and Flush returns it.
func (f Fault) write(w io.Writer, file, label string, mark Part, paint Paint) {
	fmt.Fprintf(w, "%s %s%s\n", paint(PartPlace, fmt.Sprintf("%s:%d:%d:", file, f.Line, f.Column)), label, f.sentence())
	if f.quote == "" {
		return
	}
	number := fmt.Sprintf("%6d |", f.Line)
	fmt.Fprintf(w, "%s %s\n", paint(PartPlace, number), f.quote)
	fmt.Fprintf(w, "%s %s%s\n", paint(PartPlace, strings.Repeat(" ", len(number)-1)+"|"), strings.Repeat(" ", f.indent),
		paint(mark, strings.Repeat("^", f.width)))
}

func compareFaults(a, b Fault) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Field, b.Field),
		strings.Compare(a.Message, b.Message))
}
