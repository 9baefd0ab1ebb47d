package main

import (
	"fmt"
	"slices"
	"time"
)

// table prints rows as they come and counts the verdicts.
type table struct{ held, missed int }

// line is one row: podnet's figure, that of the other side, their ratio, the target and whether it
// holds. Empty columns stay empty.
func (t *table) line(what, ours, theirs, ratio, target, verdict string) {
	fmt.Printf("  %-70s%12s%12s%9s  %-14s%s\n", what, ours, theirs, ratio, target, verdict)
}

// section begins a part of the table.
func (t *table) section(title string) {
	fmt.Printf("\n%s\n", title)
	t.line("", "podnet", "other", "ratio", "target", "verdict")
}

// verdict counts a target that was met or missed.
func (t *table) verdict(holds bool) string {
	if holds {
		t.held++
		return "holds"
	}
	t.missed++
	return "MISSES"
}

// versus compares medians; a target of 0 is none.
func (t *table) versus(what string, ours, theirs []time.Duration, target float64) {
	a, b := median(ours), median(theirs)
	t.ratio(what, ms(a), ms(b), float64(a)/float64(b), target)
}

// ratio is a row about how two figures relate.
func (t *table) ratio(what, ours, theirs string, ratio, target float64) {
	if target == 0 {
		t.line(what, ours, theirs, fmt.Sprintf("%.2fx", ratio), "", "")
		return
	}
	t.line(what, ours, theirs, fmt.Sprintf("%.2fx", ratio), fmt.Sprintf("<= %.2fx", target), t.verdict(ratio <= target))
}

// atMost is a row about one figure and its bound, both shown as show does.
func (t *table) atMost(what string, figure, bound float64, show string) {
	t.line(what, fmt.Sprintf(show, figure), "", "", "<= "+fmt.Sprintf(show, bound), t.verdict(figure <= bound))
}

// alone is a row that nothing compares to.
func (t *table) alone(what, figure string) { t.line(what, figure, "", "", "", "") }

// absent is a row about a feature that podnet does not have yet.
func (t *table) absent(what string) { t.line(what, "-", "", "", "", "not there yet") }

// summary ends the table.
func (t *table) summary(took time.Duration) {
	fmt.Printf("\n%d targets hold, %d are missed; %s\n", t.held, t.missed, took.Round(time.Second))
}

func median(d []time.Duration) time.Duration { return percentile(d, 50) }

// percentile is the smallest figure that p percent of them do not exceed.
func percentile(d []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", milliseconds(d)) }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
