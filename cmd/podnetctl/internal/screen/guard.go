package screen

import (
	"io"

	"github.com/podnet/podnet/reconcile"
)

// WriteGuard writes the guard's verdict: in one line if it lets the topology pass, else with the
// cause and the ways on.
func WriteGuard(w io.Writer, style Style, g reconcile.Guard) error {
	p := newPage(w, style)
	p.guard(g)
	return p.close()
}

func (p *page) guard(g reconcile.Guard) {
	if g.Passes {
		p.row("Guard", "passes: %s", g.Message)
		return
	}
	p.labelled(span{"Guard", bold}, alarm, "REFUSES: %s", g.Numbers)
	if g.Cause != "" {
		p.row("", "%s", g.Cause)
	}
	p.row("To go on", "%s", g.WaysOn)
}

// overruled is the verdict on what was applied all the same.
func (p *page) overruled(g reconcile.Guard) {
	if g.Passes {
		p.guard(g)
		return
	}
	p.row("Guard", "overruled: %s", g.Numbers)
}
