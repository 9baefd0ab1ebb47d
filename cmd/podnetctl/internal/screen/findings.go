package screen

import (
	"io"

	"github.com/podnet/podnet/reconcile/document"
)

// Findings is what doctor shows.
type Findings struct {
	Node     string
	Findings []document.Finding
	Unseen   []string // what could not be looked at
}

// WriteFindings writes the screen of doctor. A remedy is on a line of its own, however long,
// because it is to be pasted.
func WriteFindings(w io.Writer, style Style, f Findings) error {
	p := newPage(w, style)
	errors := 0
	for _, one := range f.Findings {
		if one.Severity == document.SeverityError {
			errors++
		}
	}
	verdict := span{"nothing found", green}
	if len(f.Findings) > 0 {
		verdict = text("%s, %s", plural(errors, "error"), plural(len(f.Findings)-errors, "warning"))
	}
	if errors > 0 {
		verdict.hue = alarm
	}
	p.line("", span{f.Node, bold}, text("   "), verdict)
	for _, one := range f.Findings {
		p.finding(one)
	}
	if len(f.Unseen) > 0 {
		p.blank()
	}
	for i, s := range f.Unseen {
		p.row([]string{"Not seen", ""}[min(i, 1)], "%s", s)
	}
	return p.close()
}

func (p *page) finding(f document.Finding) {
	mark := span{"WARNING", yellow}
	if f.Severity == document.SeverityError {
		mark = span{"ERROR", alarm}
	}
	p.blank()
	p.labelled(mark, plain, "%s  %s", f.ID, f.Object)
	p.row("", "%s", f.Owner+": "+f.Message)
	p.line("", span{"  fix", bold}, text("     %s", f.Remedy))
}
