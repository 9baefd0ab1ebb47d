package screen

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
)

// object is a line about one object.
type object struct {
	mark         byte
	kind, name   string
	detail, more string // more stands out
	place        string
}

// list is how a list of objects is laid out.
type list struct {
	indent    int
	nameWidth int // at least
}

// The two sorts of lists: below a heading, and on their own.
var (
	nested = list{indent: 4}
	flat   = list{nameWidth: 20}
)

func markHue(mark byte) hue {
	switch mark {
	case '+':
		return green
	case '~':
		return yellow
	case '-':
		return red
	case '!':
		return alarm
	}
	return plain
}

func opMark(op state.Op) byte { return "+~-"[op] }

// aligned says whether the names of a kind decide how wide the column is: paths do not.
func aligned(kind string) bool { return kind != "sysctl" && kind != "conflist" }

// objects writes a list in columns; a detail that is too long goes on below itself.
func (p *page) objects(l list, objects []object) {
	const least = len("route")
	kindWidth, nameWidth := least, l.nameWidth
	for _, o := range objects {
		kindWidth = max(kindWidth, len(o.kind))
		if aligned(o.kind) {
			nameWidth = max(nameWidth, utf8.RuneCountInString(o.name))
		}
	}
	for _, o := range objects {
		if o.mark == 0 {
			p.line("", text("%*s%s", l.indent, "", o.detail))
			continue
		}
		head := fmt.Sprintf(" %-*s  %-*s  ", kindWidth, o.kind, nameWidth, o.name)
		if !aligned(o.kind) {
			head = fmt.Sprintf(" %-*s  %s  ", kindWidth, o.kind, o.name)
		}
		p.object(l.indent, head, o)
	}
}

func (p *page) object(indent int, head string, o object) {
	column := indent + 1 + utf8.RuneCountInString(head)
	said := o.detail
	if o.more != "" {
		said = strings.TrimPrefix(said+"   "+o.more, "   ")
	}
	for i, s := range p.wrap(said, column+p.placeWidth(o.place)) {
		spans := []span{text("%*s", column, "")}
		if i == 0 {
			spans = []span{text("%*s", indent, ""), {string(o.mark), markHue(o.mark)}, {text: head}}
		}
		if rest, found := strings.CutSuffix(s, o.more); found && o.more != "" {
			spans = append(spans, span{text: rest}, span{o.more, alarm})
		} else {
			spans = append(spans, span{text: s})
		}
		p.write(spans...)
		p.place(o.place, width(spans))
		p.blank()
		o.place = ""
	}
}

// stepObject is the line about a step.
func stepObject(s *reconcile.Step) object {
	o := object{mark: opMark(s.Op), kind: s.Kind.String(), name: s.Object().Name(), detail: detail(s)}
	if s.Kind == state.KindLinkUp && s.Op == state.Create && s.Cause == reconcile.CauseDrift { // the link itself is there
		o.mark, o.detail = opMark(state.Update), "down -> up"
	}
	switch s.Result {
	case reconcile.Failed:
		o.more = "FAILED"
	case reconcile.Skipped:
		o.more = "LEFT: " + strings.TrimPrefix(s.Err.Error(), fmt.Sprintf("%s %s: ", s.Kind, s.Object().Name()))
	}
	return o
}

// collapse leaves of many steps of one kind the first two and the last, unless it is to leave all.
func collapse(steps []*reconcile.Step, line func(*reconcile.Step) object, full bool) []object {
	return collapseWith(steps, line, full, more)
}

func collapseWith(steps []*reconcile.Step, line func(*reconcile.Step) object, full bool,
	rest func(int) string) []object {
	const many = 8
	var out []object
	for len(steps) > 0 {
		run := 1
		for run < len(steps) && steps[run].Kind == steps[0].Kind && steps[run].Op == steps[0].Op {
			run++
		}
		if full || run <= many {
			for _, s := range steps[:run] {
				out = append(out, line(s))
			}
		} else {
			out = append(out, line(steps[0]), line(steps[1]), object{detail: rest(run - 3)}, line(steps[run-1]))
		}
		steps = steps[run:]
	}
	return out
}

func more(n int) string { return fmt.Sprintf("... %d more; --full lists every object", n) }
