package screen

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/podnet/podnet/reconcile/document"
)

// hostile is what a pod may call its interface, and a process itself: it sets a terminal's title,
// turns the direction of writing and begins another line.
const hostile = "\x1b]0;owned\a\x1b[5m\u009b2J\u202e\x9b31m\nok"

// TestNamesReachNoTerminal writes every screen that shows names which pods and other programs
// chose.
func TestNamesReachNoTerminal(t *testing.T) {
	way := document.Explanation{
		From: "10.244.17.5", Pod: hostile, To: "10.244.42.9", Node: "node-42", Broken: 1,
		Hops:  []document.Hop{{N: 1, Kind: "pod", Detail: hostile, State: document.HopWrong, Want: hostile, Note: hostile}},
		Cause: hostile, Fix: hostile, Note: hostile, Return: hostile, ReturnOn: hostile,
	}
	healed := drifting()
	healed.LastHealed[0].By, healed.LastHealed[0].Name = hostile, hostile
	healed.Conditions = append(healed.Conditions, document.Condition{Type: document.Contention, Status: "True", Reason: hostile, Message: hostile})
	for name, write := range map[string]func(*bytes.Buffer) error{
		"explain":       func(b *bytes.Buffer) error { return WriteExplanation(b, Style{}, way) },
		"explain --all": func(b *bytes.Buffer) error { return WriteExplanations(b, Style{}, []document.Explanation{way}) },
		"pods": func(b *bytes.Buffer) error {
			return WritePods(b, Style{}, []Pod{{Name: hostile, Container: hostile, HostVeth: hostile, Since: "1s", Addresses: []string{hostile}, HostPorts: []string{hostile}, Trouble: hostile}})
		},
		"doctor": func(b *bytes.Buffer) error {
			one := document.Finding{ID: hostile, Severity: document.SeverityError, Object: hostile, Owner: hostile, Message: hostile, Remedy: hostile}
			return WriteFindings(b, Style{}, Findings{Node: hostile, Findings: []document.Finding{one}, Unseen: []string{hostile}})
		},
		"status": func(b *bytes.Buffer) error { return WriteStatus(b, Style{}, healed) },
		"watch":  func(b *bytes.Buffer) error { return WriteWatch(b, Style{}, healed, nil) },
		"rows":   func(b *bytes.Buffer) error { return WriteRows(b, Style{}, []Row{{Label: hostile, Text: hostile}}) },
		"desired": func(b *bytes.Buffer) error {
			return WriteDesired(b, Style{}, Desired{Node: hostile, Conflist: hostile})
		},
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		bad := func(r rune) bool { return r != '\n' && (r == unicode.ReplacementChar || !unicode.IsPrint(r)) }
		if i := strings.IndexFunc(b.String(), bad); i >= 0 {
			t.Errorf("%s: %q", name, b.String()[i:])
		}
	}
}
