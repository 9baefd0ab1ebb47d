package screen

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
)

// detail says what becomes of an object, in the words of ip(8) and bridge(8).
func detail(s *reconcile.Step) string {
	drift := s.Cause == reconcile.CauseDrift
	switch {
	case s.Op == state.Create && drift:
		if chain, is := s.Want.(state.Chain); is { // of each family there is one of its name
			return "gone from " + chainPlace(chain)
		}
		return "gone"
	case s.Op == state.Create:
		return s.Want.Attrs()
	case s.Op == state.Delete && drift:
		return s.Have.Attrs() + "   nobody asks for it"
	case s.Op == state.Delete:
		return s.Have.Attrs()
	case s.Replace != "":
		return difference(s) + "   made anew: " + s.Replace
	case s.Kind == state.KindLink:
		return difference(s) + "   in place"
	}
	return difference(s)
}

// difference says what an update changes.
func difference(s *reconcile.Step) string {
	switch have := s.Have.(type) {
	case state.Chain:
		return chainPlace(have) + ": " + chainDifference(have, s.Want.(state.Chain))
	case state.Conflist:
		before, _, _ := strings.Cut(have.Attrs(), ", ")
		after, _, _ := strings.Cut(s.Want.Attrs(), ", ")
		if before == after {
			return "other content"
		}
		return wordDifference(before, after)
	}
	return wordDifference(s.Have.Attrs(), s.Want.Attrs())
}

// wordDifference compares "dst 192.0.2.52" with "dst 192.0.2.99": dst 192.0.2.52 -> 192.0.2.99.
// Texts that are not made alike are set against each other as a whole.
func wordDifference(before, after string) string {
	a, b := strings.Fields(before), strings.Fields(after)
	if len(a) != len(b) {
		return before + " -> " + after
	}
	var parts []string
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		part := a[i] + " -> " + b[i]
		if i > 0 && a[i-1] == b[i-1] {
			part = a[i-1] + " " + part
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// chainPlace is the family and table of a chain.
func chainPlace(c state.Chain) string { return fmt.Sprintf("ipv%d %s", c.Family, c.Table) }

// chainDifference names the rules that come and go, if they are few.
func chainDifference(have, want state.Chain) string {
	var parts []string
	if have.Jumps != want.Jumps {
		parts = append(parts, fmt.Sprintf("jumps from %s %d -> %d", want.Hook, have.Jumps, want.Jumps))
	}
	if have.Rules == want.Rules {
		return strings.Join(parts, ", ")
	}
	a, b := strings.Split(have.Rules, "\n"), strings.Split(want.Rules, "\n")
	missing, extra := without(b, a), without(a, b)
	const few = 2
	switch {
	case len(missing)+len(extra) == 0:
		parts = append(parts, "rules in another order")
	case len(missing)+len(extra) > few:
		parts = append(parts, fmt.Sprintf("drop %s, add %d", plural(len(extra), "rule"), len(missing)))
	default:
		for _, r := range missing {
			parts = append(parts, "add rule "+r)
		}
		for _, r := range extra {
			parts = append(parts, "drop rule "+r)
		}
	}
	return strings.Join(parts, ", ")
}

// without are the lines of a that b has not.
func without(a, b []string) []string {
	var out []string
	for _, line := range a {
		if line != "" && !slices.Contains(b, line) {
			out = append(out, line)
		}
	}
	return out
}

// names lists a few names, and how many more there are.
func names(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s .. %s (%d)", all[0], all[len(all)-1], len(all))
}

// Age is a duration as one glances at it: 12d, 3h, 6m, 4s.
func Age(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d >= 2*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d >= 2*time.Minute:
		return fmt.Sprintf("%dm", d/time.Minute)
	}
	return fmt.Sprintf("%ds", max(0, d)/time.Second)
}

// Milliseconds is how long a pass took.
func Milliseconds(seconds float64) string { return fmt.Sprintf("%.1f ms", seconds*1000) }

// Clock is a time of day, with the date if that is another.
func Clock(at, now time.Time) string {
	at, now = at.UTC(), now.UTC()
	if at.Format(time.DateOnly) == now.Format(time.DateOnly) {
		return at.Format("15:04:05Z")
	}
	return at.Format("2006-01-02 15:04:05Z")
}
