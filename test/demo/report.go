package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// report prints what happens as it happens and keeps count for the summary. It is the lab's TB: a
// fault in the machinery ends the demo, a fault in podnet is one more line.
type report struct {
	began  time.Time
	groups []*group
	faults int
}

// group is one line of the summary.
type group struct {
	name, verb  string // such as "damage" and "healed"
	done, total int
	took        []time.Duration
}

// broken ends the demo; see Fatalf.
type broken struct{ message string }

// Helper, Logf, Cleanup, Failed and Context complete lab.TB. Nothing needs cleaning up: the kernel
// does it when the process ends.
func (r *report) Helper()                         {}
func (r *report) Logf(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }
func (r *report) Cleanup(func())                  {}
func (r *report) Failed() bool                    { return r.faults > 0 }
func (r *report) Context() context.Context        { return context.Background() }

// Fatalf stops the story: what follows would make no sense.
func (r *report) Fatalf(format string, args ...any) {
	panic(broken{fmt.Sprintf(format, args...)})
}

// chapter begins a part of the story, and with a verb also a line of the summary.
func (r *report) chapter(title, name, verb string) {
	fmt.Printf("\n%s\n", title)
	r.groups = append(r.groups, &group{name: name, verb: verb})
}

// width is that of the screens; labelWidth leaves room for the verdict and the time.
const (
	width      = 98
	labelWidth = width - 2 - 12 - 12
	whyLines   = 8 // of an error
)

// line reports one thing that was to hold. A time of zero is not shown and not counted.
func (r *report) line(label string, took time.Duration, err error) {
	g := r.groups[len(r.groups)-1]
	g.total++
	verdict := g.verb
	if err == nil {
		g.done++
		if took > 0 {
			g.took = append(g.took, took)
		}
	} else {
		r.faults++
		verdict = "FAILED"
	}
	line := fmt.Sprintf("  %-*s%12s%12s", labelWidth, label, verdict, milliseconds(took))
	fmt.Println(strings.TrimRight(line, " "))
	if err != nil {
		why := strings.Split(err.Error(), "\n")
		for _, line := range why[:min(len(why), whyLines)] {
			fmt.Printf("      %.*s\n", width-6, line)
		}
		if more := len(why) - whyLines; more > 0 {
			fmt.Printf("      ... %d more\n", more)
		}
	}
}

// many reports a number of equal things as one line.
func (r *report) many(label string, done, total int, err error) {
	g := r.groups[len(r.groups)-1]
	g.done += done - 1
	g.total += total - 1
	if err != nil {
		g.done++ // line counts the one that it is told of
	}
	r.line(fmt.Sprintf("%-24s %d of %d", label, done, total), 0, err)
}

func milliseconds(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// summary prints the table and returns the exit code.
func (r *report) summary(end *broken) int {
	fmt.Printf("\nSummary\n")
	for _, g := range r.groups {
		if g.total == 0 {
			continue
		}
		line := fmt.Sprintf("  %-30s%4d of %-4d %-11s", g.name, g.done, g.total, g.verb)
		if len(g.took) > 0 {
			slices.Sort(g.took)
			line += fmt.Sprintf("median%12s   slowest%12s", milliseconds(g.took[len(g.took)/2]),
				milliseconds(g.took[len(g.took)-1]))
		}
		fmt.Println(strings.TrimRight(line, " "))
	}
	took := time.Since(r.began).Seconds()
	switch {
	case end != nil:
		fmt.Printf("\nStopped after %.1f s: %s\n", took, end.message)
	case r.faults > 0:
		fmt.Printf("\n%d did not hold, in %.1f s.\n", r.faults, took)
	default:
		fmt.Printf("\nAll held, in %.1f s.\n", took)
		return 0
	}
	return 1
}

// fail ends the program before it began, with one sentence.
func fail(err error) int {
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 1
}
