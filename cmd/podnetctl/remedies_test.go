package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
	"github.com/podnet/podnet/test/lab"
)

// TestRemediesThatShow has troubles that no command on this host ends: the remedy shows what there
// is to choose, runs as it is pasted, and changes nothing.
func TestRemediesThatShow(t *testing.T) {
	for _, c := range []struct {
		id       string
		severity document.Severity
		trouble  func(host)
		remedy   string // how it begins
	}{
		{"lan-overlap", document.SeverityWarning, func(h host) { h.Sh("ip addr add 10.200.0.5/8 dev eth0") }, "podnetctl validate --node node-a "},
		{"topology-refused", document.SeverityError, func(h host) { h.Write(invalid) }, "podnetctl validate "},
		{"topology-refused", document.SeverityError, func(h host) { h.Write(strings.Replace(valid, "nodes:", "network: {vxlan: {port: 4789}}\nnodes:", 1)) }, "podnetctl diff"},
		{"runtime-config", document.SeverityError, func(h host) { h.WriteFile("/etc/containerd/config.toml", "version = 2\nx x\n") }, "sed -n 2p "},
		{"runtime-config", document.SeverityError, func(h host) {
			h.WriteFile("/etc/containerd/config.toml", "imports = ['/etc/containerd/none.toml']\n")
		}, "ls -lL "},
	} {
		t.Run(c.id+" "+c.remedy, func(t *testing.T) {
			h := sound(t)
			c.trouble(h)
			find := func() (found []document.Finding) {
				for _, f := range h.examined(map[document.Severity]int{document.SeverityError: 1}[c.severity]) {
					if f.ID == c.id {
						found = append(found, f)
					}
				}
				return found
			}
			found := find()
			if len(found) != 1 || found[0].Severity != c.severity || !strings.HasPrefix(found[0].Remedy, c.remedy) {
				t.Fatalf("findings %+v", found)
			}
			t.Logf("%s\n  fix: %s", found[0].Message, found[0].Remedy)
			before := h.State()
			h.show(found[0].Remedy)
			if err := lab.SameState(before, h.State()); err != nil {
				t.Errorf("%s has changed\n%v", found[0].Remedy, err)
			}
			if again := find(); len(again) != 1 || again[0].Remedy != found[0].Remedy {
				t.Errorf("afterwards %+v", again)
			}
		})
	}
}

// show runs a command that shows something. One of podnetctl's answers no by its exit code 1.
func (h host) show(command string) {
	h.t.Helper()
	if arguments, is := strings.CutPrefix(command, "podnetctl "); is {
		command = lab.Program("podnetctl") + " --root " + h.Root + " --node " + h.Host + " " + strings.TrimPrefix(arguments, "--node "+h.Host)
	}
	if out := h.Execute("sh", "-ec", command); out.Code > 1 || out.Stdout+out.Stderr == "" {
		h.t.Errorf("%s: exit code %d: %s%s", command, out.Code, out.Stdout, out.Stderr)
	}
}

// TestEveryRemedyIsTried wants each finding of doctor in a test that has the trouble and pastes the
// remedy, or the reason why a network namespace cannot have the trouble.
func TestEveryRemedyIsTried(t *testing.T) {
	cannot := map[string]string{
		"conntrack-table":  "the table's limit is the machine's",
		"neighbour-table":  "the thresholds are the machine's",
		"checksum-offload": "it takes an old kernel",
		"tunnel-offload":   "it takes a driver of VMware's",
		"underlay-vrf":     "not every kernel has VRFs",
		"stale-pods":       "it takes pods: see the cluster's tests",
		"node-not-ready":   "it comes with the other findings",
		"node-degraded":    "it comes with the other findings",
		"conflist-further": "its remedy is that of conflist-order",
	}
	read := func(pattern string) (all string) {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			part, _, _ := strings.Cut(string(text), "cannot := map")
			all += part
		}
		return all
	}
	tests := read("*_test.go")
	for _, id := range lab.Findings(t) {
		tried := strings.Contains(tests, `"`+id+`"`)
		if _, untried := cannot[id]; !tried && !untried {
			t.Errorf("no test pastes the remedy of %s", id)
		}
	}
}
