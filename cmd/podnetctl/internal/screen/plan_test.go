package screen

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, rewrite with -update):\n%s", path, diff)
	}
}

// checkLines: nothing is wider than the widest screen, and nothing hangs over the end of a line.
func checkLines(t *testing.T, screen string) {
	t.Helper()
	for line := range strings.Lines(screen) {
		line = strings.TrimSuffix(line, "\n")
		if n := utf8.RuneCountInString(line); n > FullWidth {
			t.Errorf("%d columns: %s", n, line)
		}
		if strings.TrimRight(line, " ") != line {
			t.Errorf("blanks at the end: %q", line)
		}
	}
}

func written(t *testing.T, s Style, p Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := WritePlan(&b, s, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// changed is the screen of a proposed file.
func changed(p *reconcile.Plan) Plan {
	s := Plan{
		Plan: p, Pods: 31, Proposed: File{Path: next, Digest: "sha256:9b20f1c46e1d77"},
		Closing: Closing{Label: "Nothing changed.", Text: "Apply: podnetctl apply " + next},
	}
	if p.InForce != nil {
		s.InForce = File{inPlace, "sha256:4c1d07aa93f2ee", "for 12d"}
	}
	return s
}

// drifted is the screen of the file in force.
func drifted(p *reconcile.Plan) Plan {
	return Plan{
		Plan: p, Pods: 31, InForce: File{inPlace, "sha256:4c1d07aa93f2ee", "same on disk"},
		Daemon:  "NOT RUNNING since 02:11:40Z: nothing heals this (journalctl -u podnetd)",
		Closing: Closing{Label: "Heal", Text: "systemctl start podnetd   or   podnetctl apply"},
	}
}

func smallChange(t *testing.T) *reconcile.Plan {
	from := &cluster{nodes: upTo(20)}
	to := &cluster{nodes: append(upTo(20), 101), moved: map[int]string{7: "192.0.2.99"}}
	return plan(t, from, to, nil)
}

func bigChange(t *testing.T) *reconcile.Plan {
	from := &cluster{nodes: upTo(60), ipv6: true, network: "  mtu: 1450\n"}
	to := &cluster{nodes: append(upTo(57), upTo(110)[60:]...), ipv6: true, network: "  mtu: 1400\n", removed: []string{"node-58", "node-59"}}
	return plan(t, from, to, nil)
}

func damaged(t *testing.T) *reconcile.Plan {
	c := &cluster{nodes: upTo(20)}
	return plan(t, c, c, func(live *state.Live) {
		change(&live.Routes, func(r state.Route) (state.Route, bool) { return r, r.Dst.String() != "10.244.5.0/24" })
		change(&live.FDB, func(e state.FDB) (state.FDB, bool) {
			if e.Dst.String() == "192.0.2.16" {
				e.Dst = netip.MustParseAddr("192.0.2.66")
			}
			return e, true
		})
		chain := live.Chains.Rows()[1]
		live.Conflicts = []state.Conflict{
			{Key: chain.Key(), Owner: "its jump is behind rule 1 of FORWARD (not podnet's)",
				Remedy: "iptables -t filter -D FORWARD -j REJECT --reject-with icmp-host-prohibited"},
			{Key: live.Routes.Rows()[0].Key(), Name: "10.244.2.0/25", Owner: "via 192.0.2.1 dev eno1 proto static metric 0: takes a part of 10.244.2.0/24",
				Remedy: "ip route del 10.244.2.0/25 via 192.0.2.1 dev eno1 metric 0"},
		}
	})
}

func TestPlanScreens(t *testing.T) {
	for name, p := range map[string]Plan{
		"small":   changed(smallChange(t)),
		"big":     changed(bigChange(t)),
		"drift":   drifted(damaged(t)),
		"first":   changed(plan(t, nil, &cluster{nodes: upTo(20), ipv6: true}, nil)),
		"in-sync": drifted(plan(t, &cluster{nodes: upTo(3)}, &cluster{nodes: upTo(3)}, nil)),
		"port": changed(plan(t, &cluster{nodes: upTo(4)},
			&cluster{nodes: upTo(4), network: "  vxlan: {port: 4789}\n  bridge: {name: cni9}\n"}, nil)),
		"own-entry": changed(plan(t, &cluster{nodes: upTo(3)}, &cluster{nodes: upTo(3), moved: map[int]string{1: "192.0.2.88"}}, nil)),
		"masquerade": changed(plan(t, &cluster{nodes: upTo(3)},
			&cluster{nodes: upTo(3), network: "  masquerade: {nonMasqueradeCIDRs: [10.0.0.0/8]}\n  cni: {disableGC: true}\n"}, nil)),
		"wide": changed(plan(t, &cluster{nodes: upTo(3), ipv6: true, network: "  masquerade: {nonMasqueradeCIDRs: [\"2001:db8:10:20::/64\"]}\n"},
			&cluster{nodes: upTo(3), ipv6: true, network: "  masquerade: {nonMasqueradeCIDRs: [\"2001:db8:10:20::/64\", \"2001:db8:30:40::/64\"]}\n"}, nil)),
		"foreign-bridge": changed(plan(t, nil, &cluster{nodes: upTo(3)}, func(live *state.Live) {
			live.Conflicts = []state.Conflict{{Key: state.Link{Device: "cni0"}.Key(), Blocks: true,
				Owner: "a bridge that podnet did not make (group 0)", Remedy: "ip link set cni0 group 7200"}}
		})),
	} {
		t.Run(name, func(t *testing.T) {
			got := written(t, Style{}, p)
			golden(t, name, got)
			checkLines(t, got)
		})
	}
}

// Full lists the objects of every peer; a narrow terminal gets no column of places; colours add
// nothing but colour.
func TestPlanStyles(t *testing.T) {
	full := changed(bigChange(t))
	full.Full = true
	got := written(t, Style{}, full)
	if strings.Contains(got, "more;") || strings.Count(got, "+ peer ") != 50 {
		t.Errorf("--full left something out:\n%.2000s", got)
	}
	golden(t, "narrow", written(t, Style{Width: 80}, changed(smallChange(t))))
	coloured := written(t, Style{Colour: true}, changed(smallChange(t)))
	golden(t, "colour", strings.ReplaceAll(coloured, "\x1b", "^"))
}

// What was tried says what came of it.
func TestAppliedPlan(t *testing.T) {
	p := smallChange(t)
	for i, s := range p.Steps {
		s.Result = reconcile.Done
		switch i {
		case 1:
			s.Result, s.Err = reconcile.Failed, errors.New("update fdb 0a:58:77:02:be:19: no buffer space available\nthe same of its neighbour")
		case 2:
			s.Result, s.Err = reconcile.Skipped, errors.New("route 10.244.101.0/24: waits for link podnet.1")
		}
	}
	screen := changed(p)
	screen.Applied = true
	screen.Closing = Closing{"NOT IN SYNC", "the rest is in place; correct what is named above, then: podnetctl apply", true}
	golden(t, "applied", written(t, Style{}, screen))
}
