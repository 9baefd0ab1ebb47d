package screen

import (
	"fmt"
	"io"
)

// labelWidth is the column in which what a label labels begins.
const labelWidth = 10

// Row is a label and a text.
type Row struct {
	Label, Text string
	Bad         bool
}

// WriteRows writes labels and their texts, and nothing else.
func WriteRows(w io.Writer, style Style, rows []Row) error {
	p := newPage(w, style)
	p.rows(rows)
	return p.close()
}

// rows writes a row each; a label that is too long pushes its text on.
func (p *page) rows(rows []Row) {
	for _, r := range rows {
		hue := plain
		if r.Bad {
			hue = alarm
		}
		p.labelled(span{r.Label, bold}, hue, "%s", r.Text)
	}
}

// row writes a label and its text, wrapped in its column.
func (p *page) row(label, format string, args ...any) {
	p.labelled(span{label, bold}, plain, format, args...)
}

func (p *page) labelled(label span, hue hue, format string, args ...any) {
	for _, s := range p.wrap(fmt.Sprintf(format, args...), labelWidth) {
		p.line("", label, text("%*s", max(labelWidth-label.width(), 1), ""), span{s, hue})
		label = span{}
	}
}
