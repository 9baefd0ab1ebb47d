package screen

import (
	"fmt"
	"io"

	"github.com/podnet/podnet/reconcile"
)

// WriteRefusal writes why the guard does not let a topology pass, and the ways on. file is what the last of them needs behind
// it; "": nothing.
func WriteRefusal(w io.Writer, style Style, g reconcile.Guard, file string) error {
	p := newPage(w, style)
	p.guard(g, file)
	return p.close()
}

// WriteGuard writes the guard's verdict, whatever it is.
func WriteGuard(w io.Writer, style Style, g reconcile.Guard) error {
	return WriteRefusal(w, style, g, "")
}

// guard is its verdict; in one line if it lets the topology pass.
func (p *page) guard(g reconcile.Guard, file string) {
	if g.Passes {
		p.row("Guard", "passes: %s", g.Message)
		return
	}
	p.labelled(span{"Guard", bold}, alarm, "REFUSES: %s", g.Numbers)
	if g.Cause != "" {
		p.row("", "%s", g.Cause)
	}
	p.row("To go on", "%s", command(g.WaysOn, file))
}

// command puts a file behind a sentence that ends in a command.
func command(sentence, file string) string {
	if file == "" {
		return sentence
	}
	return fmt.Sprintf("%s %s", sentence, file)
}
