package screen

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/podnet/podnet/reconcile/document"
)

// WriteExplanation writes the screen of explain.
func WriteExplanation(w io.Writer, style Style, e document.Explanation) error {
	p := newPage(w, style)
	p.line("", append([]span{{strings.TrimSpace(e.From + " " + e.Pod), bold}, text(" -> "), {e.To, bold},
		text("%s   ", on(e))}, verdict(e)...)...)
	p.blank()
	p.hops(e.Hops)
	if e.Broken != 0 || e.Return != "" {
		p.blank()
	}
	if e.Broken != 0 {
		p.advice("Cause", e.Cause)
		note := ""
		if e.Note != "" {
			note = "(" + e.Note + ")"
		}
		if e.Fix != "" {
			p.command("Fix", "", e.Fix, note)
		}
		if e.Advice != "" {
			p.advice("Advice", e.Advice)
		}
		for i, command := range e.Look {
			p.command([]string{"Look", ""}[min(i, 1)], "", command, "")
		}
	}
	if e.Return != "" {
		where := ""
		if e.ReturnOn != "" {
			where = "on " + e.ReturnOn + ":  "
		}
		p.command("Return", where, e.Return, "")
	}
	return p.close()
}

func on(e document.Explanation) string {
	switch unowned := func(h document.Hop) bool { return h.Kind == "address" }; {
	case e.Node == "" && slices.ContainsFunc(e.Hops, unowned):
		return ", which no node has"
	case e.Node == "":
		return ", outside of the cluster"
	}
	return " on " + e.Node
}

func verdict(e document.Explanation) []span {
	if e.Broken == 0 {
		return []span{{"ok", green}}
	}
	return []span{{fmt.Sprintf("BROKEN at hop %d", e.Broken), alarm}}
}

// The columns of a list of hops.
const (
	hopDetail = 14 // where the detail begins
	hopState  = 7  // how wide the state is
	hopNote   = 24 // how wide the note is at least
)

// hops writes stations in columns; what is too long for its column goes on below itself. A narrow
// terminal gets no notes, and what is wanted on a line of its own.
func (p *page) hops(hops []document.Hop) {
	most := p.width - hopDetail - 2 - hopState
	if p.width == FullWidth {
		most -= hopNote
	}
	width := 0
	for _, h := range hops {
		width = max(width, min(utf8.RuneCountInString(h.Detail), most))
	}
	for _, h := range hops {
		p.hop(h, width)
	}
}

func (p *page) hop(h document.Hop, width int) {
	note, below := h.Note, ""
	if h.Want != "" {
		note = "want " + h.Want
	}
	if p.width < FullWidth {
		note = ""
		if h.Want != "" {
			below = "want " + h.Want
		}
	}
	details := p.wrap(h.Detail, p.width-width)
	notes := p.wrap(note, hopDetail+width+2+hopState)
	head, state := fmt.Sprintf("%2d %-9s  ", h.N, h.Kind), stateSpan(h.State)
	for i := range max(len(details), len(notes)) {
		detail, note := at(details, i), at(notes, i)
		spans := []span{text("%-*s%s", hopDetail, head, detail)}
		if state.text+note != "" {
			spans = append(spans, text("%*s", width-utf8.RuneCountInString(detail)+2, ""), state)
		}
		if note != "" {
			spans = append(spans, text("%*s%s", hopState-len(state.text), "", note))
		}
		p.line("", spans...)
		head, state = "", span{}
	}
	if below != "" {
		for _, line := range p.wrap(below, hopDetail) {
			p.line("", text("%*s%s", hopDetail, "", line))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}

func stateSpan(state string) span {
	if state == document.HopOK {
		return span{"ok", green}
	}
	return span{strings.ToUpper(state), alarm}
}

// adviceWidth is the column in which advice begins.
const adviceWidth = 8

func (p *page) advice(label, said string) {
	for _, line := range p.wrap(said, adviceWidth) {
		p.line("", span{fmt.Sprintf("%-*s", adviceWidth, label), bold}, text("%s", line))
		label = ""
	}
}

// pasted breaks a command for a person who pastes it into a shell, where it begins in the given
// column: a line that is broken ends in a backslash. One with quotes stays whole, as what is quoted
// must not be broken.
func (p *page) pasted(command string, column int) []string {
	if strings.ContainsAny(command, `'"`) {
		return []string{command}
	}
	lines := p.wrap(command, column+len(" \\"))
	for i := range lines[:len(lines)-1] {
		lines[i] += ` \`
	}
	return lines
}

// command writes what a person pastes into a shell.
func (p *page) command(label, where, command, note string) {
	lines := p.pasted(command, adviceWidth+len(where))
	for i, line := range lines {
		if i == len(lines)-1 && note != "" &&
			adviceWidth+utf8.RuneCountInString(line)+5+utf8.RuneCountInString(note) <= p.width {
			line, note = line+"     "+note, ""
		}
		p.line("", span{fmt.Sprintf("%-*s", adviceWidth, label), bold}, text("%s%s", where, line))
		label, where = "", strings.Repeat(" ", len(where))
	}
	if note != "" {
		p.advice("", note)
	}
}

// WriteExplanations writes a line for every way.
func WriteExplanations(w io.Writer, style Style, all []document.Explanation) error {
	p := newPage(w, style)
	node, to, broken := 0, 0, 0
	for _, e := range all {
		node, to = max(node, len(e.Node)), max(to, len(e.To))
		if e.Broken != 0 {
			broken++
		}
	}
	for _, e := range all {
		p.way(e, fmt.Sprintf("%-*s  %-*s  ", node, e.Node, to, e.To))
	}
	if len(all) > 0 {
		p.blank()
	}
	summary := span{"ok", green}
	if broken > 0 {
		summary = span{fmt.Sprintf("%d BROKEN", broken), alarm}
	}
	p.line("", text("%s   ", plural(len(all), "way")), summary)
	return p.close()
}

func (p *page) way(e document.Explanation, head string) {
	if e.Broken == 0 {
		p.line("", text("%s", head), span{"ok", green})
		return
	}
	h := e.Hops[e.Broken-1]
	said := fmt.Sprintf("at %s: %s", h.Kind, e.Cause)
	mark := span{"BROKEN  ", alarm}
	for _, line := range p.wrap(said, len(head)+len(mark.text)) {
		p.line("", text("%s", head), mark, text("%s", line))
		head, mark.text = strings.Repeat(" ", len(head)), "        "
	}
	label, lines := "", []string{}
	switch column := len(head) + len(mark.text); {
	case e.Fix != "":
		label, lines = "fix", p.pasted(e.Fix, column)
	case e.Advice != "":
		label, lines = "advice", p.wrap(e.Advice, column)
	}
	for _, line := range lines {
		p.line("", text("%s", head), span{fmt.Sprintf("%-*s", len(mark.text), label), bold}, text("%s", line))
		label = ""
	}
}
