package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// cluster is a valid topology of n nodes in the form that people write.
func cluster(n int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "apiVersion: %s\nkind: %s\nmetadata: {name: lab, nodeCount: %d}\nnetwork: {clusterCIDRs: [\"10.0.0.0/8\", \"fd00::/16\"]}\nnodes:\n", APIVersion, Kind, n)
	for i := range n {
		fmt.Fprintf(&b, "- name: node-%d\n  ip: 192.%d.%d.%d\n", i, 64+i>>16, i>>8&255, i&255)
		fmt.Fprintf(&b, "  podCIDRs: [\"10.%d.%d.%d/28\", \"fd00:0:0:%x::/64\"]\n", i>>12, i>>4&255, i<<4&255, i)
	}
	return b.Bytes()
}

func clusterJSON(t testing.TB, n int) []byte {
	t.Helper()
	var tree any
	if err := yaml.Unmarshal(cluster(n), &tree); err != nil {
		t.Fatal(err)
	}
	data, err := json.MarshalIndent(tree, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(data, '\n')
}

func BenchmarkParse(b *testing.B) {
	for name, data := range map[string][]byte{"yaml": cluster(10000), "json": clusterJSON(b, 10000)} {
		b.Run(name+"/10000", func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse("topology.yaml", data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
var _ = strings.Cut
var _ = time.Now
