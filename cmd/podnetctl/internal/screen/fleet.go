package screen

import (
	"fmt"
	"io"
	"strings"

	"github.com/podnet/podnet/reconcile/fleet"
)

// WriteFleet writes what many nodes say, equal ones in one line.
func WriteFleet(w io.Writer, style Style, s *fleet.Status) error {
	v := &fleetView{s, newPage(w, style), len("0")}
	for _, g := range s.Groups {
		v.count = max(v.count, len(fmt.Sprint(len(g.Nodes))))
	}
	v.count = max(v.count, len(fmt.Sprint(len(s.Missing))), 3)
	if s.Plans {
		v.plans()
	} else {
		v.statuses()
	}
	v.strangers()
	v.mtus()
	return v.page.close()
}

type fleetView struct {
	*fleet.Status
	page  *page
	count int // columns of a number of nodes
}

// fewRuns is how many runs of names are shown of a group.
const fewRuns = 4

// row is a number of nodes, what is said of them, and who they are as far as there is room.
func (v *fleetView) row(n int, middle []span, nodes string) {
	noun := "nodes"
	if n == 1 {
		noun = "node "
	}
	spans := append([]span{text("%*d %s  ", v.count, n, noun)}, middle...)
	column := 2
	for _, s := range spans {
		column += s.width()
	}
	for i, line := range v.page.wrap(nodes, column) {
		if i > 0 {
			spans = []span{text("%*s", column-2, "")}
		}
		v.page.line("", append(spans, text("  %s", line))...)
	}
}

// plans has columns as wide as their longest texts.
func (v *fleetView) plans() {
	last, refused := "missing, %d refused by the guard", 0
	reason, impact := 0, 0
	for _, g := range v.Groups {
		reason, impact = max(reason, len(g.Reason)), max(impact, len("impact ")+len(g.Impact))
		if g.Reason == fleet.Refused {
			refused += len(g.Nodes)
		}
	}
	for _, g := range v.Groups {
		hue := plain
		if g.Verdict == fleet.NotInSync {
			hue = alarm
		}
		said := fmt.Sprintf("impact %s", g.Impact)
		if g.Verdict == fleet.NotInSync {
			said = ""
		}
		v.row(len(g.Nodes), []span{{fmt.Sprintf("%-*s", reason, g.Reason), hue}, text("   %-*s  ", impact, said)},
			v.Names(g.Nodes, fewRuns))
		v.detail(g.Detail)
	}
	v.closing(fmt.Sprintf(last, refused), reason+impact+len("     "), "from")
}

func (v *fleetView) statuses() {
	const verdict, digest = len("NOT IN SYNC"), len("sha256:") + 12
	for _, g := range v.Groups {
		word := span{fmt.Sprintf("%-*s", verdict, "IN SYNC"), green}
		if g.Verdict != fleet.InSync {
			word = span{"NOT IN SYNC", alarm}
		}
		file := span{fmt.Sprintf("%-*s", digest, ShortDigest(g.Digest)), plain}
		if v.Unexpected(g.Digest) {
			file.hue = alarm
		}
		v.row(len(g.Nodes), []span{word, text("  "), file}, v.Names(g.Nodes, fewRuns))
		said := g.Reason
		if said == "" && v.Unexpected(g.Digest) {
			said = fleet.OtherFile
		}
		if g.Detail != "" {
			said += ": " + g.Detail
		}
		v.detail(said)
	}
	v.closing("missing", verdict+digest+len("  "), "on")
}

// detail is a line below a group.
func (v *fleetView) detail(said string) {
	if said == "" {
		return
	}
	column := v.count + len(" nodes  ")
	for _, line := range v.page.wrap(said, column) {
		v.page.line("", text("%*s%s", column, "", line))
	}
}

// closing says who is missing, and of which file all this is.
func (v *fleetView) closing(what string, width int, word string) {
	hue := plain
	if len(v.Missing) > 0 {
		hue = alarm
	}
	all := v.Digests()
	said := word + " several files"
	switch {
	case len(all) == 0:
		said = ""
	case len(all) == 1 && !v.Unexpected(all[0]):
		said = fmt.Sprintf("all %s %s", word, ShortDigest(all[0]))
	case v.Digest != "":
		said = fmt.Sprintf("expected %s", ShortDigest(v.Digest))
	}
	if len(v.Missing) > 0 {
		v.row(len(v.Missing), []span{{fmt.Sprintf("%-*s", width, what), hue}}, v.Names(v.Missing, fewRuns))
		v.detail(said)
		return
	}
	v.row(0, []span{{fmt.Sprintf("%-*s", width, what), hue}}, said)
}

func (v *fleetView) strangers() {
	if n := len(v.Strangers); n > 0 {
		v.row(n, []span{{"not in the topology", alarm}}, v.Names(v.Strangers, fewRuns))
	}
}

// mtus is about pods of some nodes being able to send what those of others cannot take.
func (v *fleetView) mtus() {
	if len(v.MTUs) < 2 {
		return
	}
	var parts []string
	for _, m := range v.MTUs {
		parts = append(parts, fmt.Sprintf("%d on %s", m.MTU, v.Names(m.Nodes, fewRuns)))
	}
	label := span{fmt.Sprintf("%*s MTUs ", v.count, fmt.Sprint(len(v.MTUs))), alarm}
	said := strings.Join(parts, "; ") + " (large packets between them may get lost; network.mtu sets one for all)"
	for _, line := range v.page.wrap(said, v.count+len(" nodes  ")) {
		v.page.line("", label, text("  %s", line))
		label = span{text: fmt.Sprintf("%*s", v.count+len(" nodes"), "")}
	}
}
