package screen

import (
	"fmt"
	"io"
	"strings"

	"github.com/podnet/podnet/reconcile/document"
)

// How much of each list a watch shows.
const (
	watchedPasses = 5
	watchedHeals  = 8
)

// WriteWatch writes the live screen of status --watch: the status, then conditions, objects that
// were healed, and passes, the newest first.
func WriteWatch(w io.Writer, style Style, s Status, passes []document.PassStatus) error {
	v := &statusView{s, newPage(w, style)}
	v.headline()
	v.page.blank()
	v.page.rows(v.details())
	v.section("Conditions", len(v.Conditions))
	for _, c := range v.Conditions {
		v.condition(c)
	}
	v.section("Healed", len(v.LastHealed))
	for _, h := range v.LastHealed[:min(len(v.LastHealed), watchedHeals)] {
		by := ""
		if h.By != "" {
			by = "   by " + h.By
		}
		v.item(fmt.Sprintf("%s  %-6s  %-10s  %s%s", Clock(h.At, v.Now), h.Op, h.Kind, h.Name, by))
	}
	v.section("Passes", len(passes))
	for _, p := range passes[:min(len(passes), watchedPasses)] {
		v.item(fmt.Sprintf("%s  %9s  %s", Clock(p.At, v.Now), Milliseconds(p.DurationSeconds), did(p)))
	}
	v.page.blank()
	v.page.line("", span{"Ctrl-C ends it", dim})
	return v.page.close()
}

// section is a heading, where there is something below it.
func (v *statusView) section(name string, items int) {
	if items > 0 {
		v.page.blank()
		v.page.line("", span{name, bold})
	}
}

const itemIndent = 2

func (v *statusView) item(said string) {
	for _, line := range v.page.wrap(said, itemIndent) {
		v.page.line("", text("%*s%s", itemIndent, "", line))
	}
}

// condition is a line about one; the ones to worry about stand out.
func (v *statusView) condition(c document.Condition) {
	bad := c.Status == "True"
	if c.Type == document.Ready {
		bad = c.Status != "True"
	}
	hue := plain
	if bad {
		hue = alarm
	}
	head := fmt.Sprintf("  %-14s  ", c.Type)
	rest := strings.TrimRight(fmt.Sprintf("%-7s  %-5s  %s", c.Status, Age(v.Now.Sub(c.LastTransitionTime)),
		strings.TrimSpace(c.Reason+"  "+c.Message)), " ")
	for _, line := range v.page.wrap(rest, len(head)) {
		v.page.line("", text("%s", head), span{line, hue})
		head = strings.Repeat(" ", len(head))
	}
}

// did is what a pass has done.
func did(p document.PassStatus) string {
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{p.Created, "created"}, {p.Updated, "updated"}, {p.Deleted, "deleted"}, {p.Failed, "FAILED"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	return strings.Join(parts, ", ")
}
