package screen

import (
	"fmt"
	"strings"

	"github.com/podnet/podnet/reconcile"
)

// summary are the counts below the lists, what they cost, and what comes next.
func (v *planView) summary() {
	sum := v.Summarize(v.peers)
	if v.idle() {
		v.page.labelled(span{"IN SYNC", green}, plain, "%s, nothing to do", plural(sum.Peers.Unchanged, "peer"))
		return
	}
	v.page.blank()
	if len(v.drift) < len(v.Steps) {
		v.page.row("Peers", "%d added, %d changed, %d removed, %d unchanged",
			sum.Peers.Added, sum.Peers.Changed, sum.Peers.Removed, sum.Peers.Unchanged)
	}
	v.page.row("Objects", "%s", v.objectCounts(sum.Objects))
	for i, line := range v.impact(sum.Peers) {
		label := "Impact"
		if i > 0 {
			label = ""
		}
		v.page.row(label, "%s", line)
	}
	switch {
	case v.Guard == nil || v.given.Proposed == (File{}):
	case v.given.Applied:
		v.page.overruled(*v.Guard)
	default:
		v.page.guard(*v.Guard)
	}
	v.closing()
}

// closing keeps the sentence that nothing was changed in one piece with what comes next.
func (v *planView) closing() {
	switch {
	case v.given.Closing.Text == "":
	case len(v.given.Closing.Label) < labelWidth:
		v.page.row(v.given.Closing.Label, "%s", v.given.Closing.Text)
	default:
		label := span{text: v.given.Closing.Label}
		if v.given.Closing.Bad {
			label.hue = alarm
		}
		v.page.line("", label, text("  %s", v.given.Closing.Text))
	}
}

func (v *planView) objectCounts(n reconcile.ObjectCounts) string {
	said := fmt.Sprintf("%d to create, %d to update, %d to delete", n.Create, n.Update, n.Delete)
	if v.given.Applied {
		said = v.results()
	}
	left := 0
	for _, s := range v.Steps {
		if s.Result == reconcile.Skipped {
			left++
		}
	}
	if left > 0 {
		said += fmt.Sprintf(", %d left", left)
	}
	if n := len(v.Conflicts); n > 0 {
		said += fmt.Sprintf("; %s that apply will not touch", plural(n, "conflict"))
	}
	return said
}

// results counts what came of the steps.
func (v *planView) results() string {
	var done [3]int
	failed := 0
	for _, s := range v.Steps {
		switch s.Result {
		case reconcile.Done:
			done[s.Op]++
		case reconcile.Failed:
			failed++
		}
	}
	said := fmt.Sprintf("%d created, %d updated, %d deleted", done[0], done[1], done[2])
	if failed > 0 {
		said += fmt.Sprintf(", %d failed", failed)
	}
	return said
}

// impact says who loses what: those that lose something first, as many on a line as fit, then
// everybody else. Healing costs nobody anything and needs no such line.
func (v *planView) impact(peers reconcile.PeerCounts) []string {
	if v.given.Applied || v.onlyHeals() {
		return nil
	}
	losses := v.losses()
	var lines []string
	line := ""
	for _, l := range losses.said {
		switch {
		case line == "":
			line = l
		case len(line)+len(l)+3 > v.page.width-labelWidth:
			lines, line = append(lines, line), l
		default:
			line += ";  " + l
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	switch rest := v.unharmed(losses, peers); {
	case rest != "":
		lines = append(lines, rest+": none")
	case len(lines) == 0:
		lines = append(lines, "none")
	}
	return lines
}

func (v *planView) onlyHeals() bool {
	for _, s := range v.Steps {
		if s.Cause == reconcile.CauseChange || v.Impact(s) != reconcile.ImpactNone {
			return false
		}
	}
	return true
}

// unharmed are those that lose nothing.
func (v *planView) unharmed(l losses, peers reconcile.PeerCounts) string {
	if l.allPeers || l.pods {
		return ""
	}
	other := ""
	if len(l.said) > 0 {
		other = "other "
	}
	var who []string
	if peers.Unchanged > 0 {
		who = append(who, plural(peers.Unchanged, other+"peer"))
	}
	switch {
	case v.given.Pods > 0:
		who = append(who, plural(v.given.Pods, "local pod"))
	case v.given.Pods < 0:
		who = append(who, "local pods")
	}
	return strings.Join(who, ", ")
}
