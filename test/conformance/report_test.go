package conformance

import (
	"fmt"
	"slices"
	"strings"
)

// verdict is what became of a case in each version; a nil error is a promise kept.
type verdict map[string]error

func verdictOf(dir string, c testCase) verdict {
	v := verdict{}
	for _, version := range c.versions() {
		v[version] = try(dir, version, c)
	}
	return v
}

func (v verdict) failed() []string {
	var failed []string
	for version, err := range v {
		if err != nil {
			failed = append(failed, version)
		}
	}
	slices.Sort(failed)
	return failed
}

// String is one word, or the versions in which the promise is broken.
func (v verdict) String() string {
	failed := v.failed()
	switch {
	case len(failed) == 0:
		return "ok"
	case len(failed) == len(v):
		return "FAULT"
	}
	return "FAULT in " + strings.Join(failed, " ")
}

// why is the first reason.
func (v verdict) why() string {
	failed := v.failed()
	if len(failed) == 0 {
		return ""
	}
	text := strings.Join(strings.Fields(v[failed[len(failed)-1]].Error()), " ")
	if len(text) > 150 {
		text = text[:147] + "..."
	}
	return text
}

// report is the table of two directories.
type report struct {
	lines          []string
	failed, faults int
}

const layout = "%-86s %-9s %s"

func (r *report) add(c testCase, tested, reference verdict) {
	r.lines = append(r.lines, strings.TrimRight(fmt.Sprintf(layout, c.name, tested, reference), " "))
	if why := tested.why(); why != "" {
		r.failed++
		r.lines = append(r.lines, "    tested: "+why)
	}
	if why := reference.why(); why != "" {
		r.faults++
		r.lines = append(r.lines, "    reference: "+why)
	}
}

func (r *report) text(tested, reference string) string {
	head := fmt.Sprintf(layout, "case, in versions "+strings.Join(versions, " "), tested, reference)
	foot := fmt.Sprintf("%d cases: %s has %d faults, %s has %d", len(cases()), tested, r.failed, reference, r.faults)
	return head + "\n" + strings.Join(r.lines, "\n") + "\n" + foot + "\n"
}
