package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// fullCluster is a topology of n dual-stack nodes in which every field of an entry is written, one
// value to a line.
func fullCluster(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata:\n  name: lab\nnodes:\n", APIVersion, Kind)
	for i := range n {
		fmt.Fprintf(&b, "# rack %d\n- name: node-%d\n  ip: 192.168.%d.%d\n  podCIDRs:\n  - 10.%d.%d.%d/28\n  - fd00:0:0:%x::/64\n", i>>5, i, i>>8, i&255, i>>12, i>>4&255, i<<4&255, i)
		fmt.Fprintf(&b, "  vtepMAC: \"\"\n  localIP: \"\"\n  otherIP: \"\"\n  wireguardKey: \"\"\n  routes:\n  - 172.16.%d.%d/32\n  - 172.17.%d.%d/32\n\n", i>>8, i&255, i>>8, i&255)
	}
	return b.Bytes()
}

func TestLargestTopologyIsNotTooLarge(t *testing.T) {
	block := fullCluster(50_000)
	var tree any
	if err := yaml.Unmarshal(block, &tree); err != nil {
		t.Fatal(err)
	}
	indented, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"YAML": block, "JSON": indented} {
		if off := placeOfValue(data, maxValues); off >= 0 {
			t.Errorf("%s of 50,000 nodes, %d bytes: too many values at byte %d", name, len(data), off)
		}
	}
}

// What is dense with values is refused before a parser multiplies it, in every way to write values
// down.
func TestDenseFile(t *testing.T) {
	const head = "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata: {name: lab}\nnodes:\n"
	for _, c := range []struct{ head, unit, tail string }{
		{head, "- {}\n", ""},
		{head, "-\n", ""},
		{head, "- - - - - -\n", ""},
		{head, "? ", "\n"},
		{head, "a: b\n", ""},
		{head, "# a\n", ""},
		{head + "[", "{},", "]\n"},
		{head + "[", "*a,", "]\n"},
		{head, "[", "\n"},
		{`{"nodes": [`, "0,", "0]}\n"},
		{`{"nodes": [`, "[],\n", "0]}\n"},
		{`{"nodes": [`, "{}\n,", "0]}\n"},
	} {
		data := []byte(c.head + strings.Repeat(c.unit, maxValues) + c.tail)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		invalid := faultsOf(t, data)
		runtime.ReadMemStats(&after)
		if len(invalid.Faults) != 1 || !strings.Contains(invalid.Faults[0].Message, "more than 1000000 values") {
			t.Errorf("%q: %d faults, first %v", c.unit, len(invalid.Faults), invalid.Faults[0])
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("%q: a file of %d bytes took %d bytes of memory", c.unit, len(data), took)
		}
	}
}
