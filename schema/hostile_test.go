package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCutFile: whatever part of a file arrives, it is refused, by nodeCount where nothing else
// shows. What is left is a file that lacks all of its last line, if that line was optional; it is
// warned of.
func TestCutFile(t *testing.T) {
	for _, file := range []string{"../examples/full.yaml", "../examples/dual-stack.yaml"} {
		whole := read(t, file)
		for n := range len(whole) {
			part, err := Parse(file, whole[:n])
			if err == nil && !lacksLastRange(part, whole[:n], whole) {
				t.Errorf("%s: the first %d of %d bytes are accepted", file, n, len(whole))
			}
		}
		mustParse(t, whole)
	}
	whole := clusterJSON(t, 3)
	for n := range len(whole) {
		if _, err := Parse("topology.json", whole[:n]); err == nil {
			t.Errorf("the first %d of %d bytes of JSON are accepted", n, len(whole))
		}
	}
}

// lacksLastRange: the cut is right before the podCIDRs of the last entry, and there is a warning of
// it.
func lacksLastRange(t *Topology, part, whole []byte) bool {
	lost := whole[len(part):]
	return bytes.HasSuffix(part, []byte("\n")) && bytes.HasPrefix(lost, []byte("  podCIDRs:")) && bytes.Count(lost, []byte("\n")) == 1 &&
		len(t.Warnings) == 1 && len(t.Nodes[len(t.Nodes)-1].PodCIDRs) == 0
}

// TestHostile: each of these comes to an end without a crash, whatever is said of it.
func TestHostile(t *testing.T) {
	const n = 200000
	head := "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab}\n"
	for name, text := range map[string]string{
		"open brackets":       strings.Repeat("[", n),
		"open braces":         strings.Repeat("{", n),
		"open JSON":           strings.Repeat(`{"a":`, n),
		"JSON in brackets":    `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}",
		"dashes":              strings.Repeat("- ", n),
		"question marks":      strings.Repeat("? ", n),
		"deeper and deeper":   deeper(3000),
		"an open quote":       head + "nodes: \"" + strings.Repeat("x\n", n),
		"one long line":       head + "nodes: [" + strings.Repeat("{name: A}, ", n/4) + "]",
		"one long name":       head + "nodes: [{name: " + strings.Repeat("a.", n) + "a, ip: 192.0.2.1}]",
		"one long address":    head + "nodes: [{name: a, ip: " + strings.Repeat("1.", n) + "1}]",
		"one long field":      head + strings.Repeat("mtu", n) + ": 1",
		"many unknown fields": head + manyFields(n/4),
		"one field often":     head + strings.Repeat("nodes: []\n", n/4),
		"one range often":     head + "nodes:\n" + sameRange(n/10),
		"aliases":             head + "nodes: [&a {name: a}" + strings.Repeat(", *a", n/4) + "]",
		"an alias bomb":       "a: &a [x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: &d [*c,*c,*c]\n" + head + "nodes: *d",
		"comments":            head + strings.Repeat("# x\n", n) + "nodes: []",
		"only colons":         strings.Repeat(":", n),
		"only newlines":       strings.Repeat("\n", n),
		"only tabs":           strings.Repeat("\t", n),
		"documents":           strings.Repeat("---\n", n),
	} {
		t.Run(name, func(t *testing.T) {
			invalid := faultsOf(t, []byte(text+"\n"))
			checkPlaces(t, []byte(text+"\n"), invalid.Faults)
		})
	}
}

func deeper(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func manyFields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%d: 1\n", i)
	}
	return b.String()
}

func sameRange(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- {name: n%d, ip: 192.168.%d.%d, podCIDRs: [10.0.0.0/24]}\n", i, i>>8, i&255)
	}
	return b.String()
}

func TestTooLarge(t *testing.T) {
	data := append(bytes.Repeat([]byte("#\n"), MaxBytes/2), '\n')
	got := faultsOf(t, data).Error()
	if want := "topology.yaml:1:1: the file is too large (at most 64 MiB)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// checkPlaces: whoever follows a message must find the line and column that it names.
func checkPlaces(t *testing.T, data []byte, faults []Fault) {
	t.Helper()
	lines := bytes.Split(data, []byte("\n"))
	for _, f := range faults {
		if f.Line < 1 || f.Line > len(lines) || f.Column < 1 || f.Column > len(lines[f.Line-1])+1 {
			t.Errorf("%v is outside the file", f)
			return
		}
		if f.Message == "" || strings.ContainsAny(f.sentence(), "\n\r\x00\x1b") || f.width < 1 && f.quote != "" {
			t.Errorf("%q cannot be printed", f.sentence())
			return
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"../examples/*.yaml", "testdata/invalid/*.yaml", "testdata/invalid/*.json", "testdata/valid/*.yaml", "testdata/valid/*.json"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			f.Add(read(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		topology, err := Parse("fuzz", data)
		if err == nil {
			if text := withoutBOM(data); isJSON(text) && !json.Valid(text) {
				t.Error("taken for JSON, which it is not")
			}
			checkPlaces(t, data, topology.Warnings)
			checkAgain(t, topology)
			return
		}
		checkPlaces(t, data, faultsOf(t, data).Faults)
	})
}

// checkAgain: a topology written out in full is the same topology.
func checkAgain(t *testing.T, topology *Topology) {
	t.Helper()
	written := asFile(topology)
	data, err := json.Marshal(written)
	if err != nil {
		t.Fatal(err)
	}
	// omitempty leaves out what is zero on purpose.
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		t.Fatal(err)
	}
	network := fields["network"].(map[string]any)
	network["bridge"].(map[string]any)["hairpinMode"] = topology.Network.Bridge.HairpinMode
	network["masquerade"].(map[string]any)["enabled"] = topology.Network.Masquerade.Enabled
	fields["safety"] = map[string]any{"maxDisruptedPeersPercent": topology.Safety.MaxDisruptedPeersPercent}
	if data, err = json.Marshal(fields); err != nil {
		t.Fatal(err)
	}
	again, err := Parse("again", append(data, '\n'))
	if err != nil {
		t.Fatalf("%s\n%v", data, err)
	}
	if diff := cmp.Diff(written, asFile(again)); diff != "" {
		t.Fatal(diff)
	}
}
