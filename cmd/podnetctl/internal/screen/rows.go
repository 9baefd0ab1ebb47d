package screen

import "io"

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
