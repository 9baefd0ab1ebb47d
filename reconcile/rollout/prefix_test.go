package rollout

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/test/lab"
)

// cutFile is a valid topology of so many nodes, to be cut off.
func cutFile(nodes int, counted, asJSON bool) []byte {
	count := ""
	if counted {
		count = fmt.Sprintf("\n  nodeCount: %d", nodes)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata:\n  name: lab%s\nnetwork:\n  clusterCIDRs: [10.244.0.0/16]\nnodes:\n", count)
	for i := range nodes {
		fmt.Fprintf(&b, "- name: node-%d\n  ip: 192.0.2.%d\n  podCIDRs: [10.244.%d.0/24]\n", i, i+1, i)
	}
	if !asJSON {
		return []byte(b.String())
	}
	type node struct {
		Name     string   `json:"name"`
		IP       string   `json:"ip"`
		PodCIDRs []string `json:"podCIDRs"`
	}
	file := struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Network    map[string]any `json:"network"`
		Nodes      []node         `json:"nodes"`
	}{"podnet.dev/v1alpha1", "ClusterTopology", map[string]any{"name": "lab"}, map[string]any{"clusterCIDRs": []string{"10.244.0.0/16"}}, nil}
	if counted {
		file.Metadata["nodeCount"] = nodes
	}
	for i := range nodes {
		file.Nodes = append(file.Nodes, node{fmt.Sprintf("node-%d", i), fmt.Sprintf("192.0.2.%d", i+1), []string{fmt.Sprintf("10.244.%d.0/24", i)}})
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(file); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// A file that is cut off at any byte: none that has nodeCount passes the loader, and of those
// without it only the ones pass the guard that lost no more peers than it allows.
func TestCutAtEveryByte(t *testing.T) {
	full := lab.Full()
	table := fmt.Sprintf("%-44s %10s %14s %14s\n", "every byte-prefix of a valid file", "prefixes", "pass loader", "pass guard")
	for _, nodes := range []int{3, 10, 100} {
		for _, counted := range []bool{true, false} {
			for format, asJSON := range map[string]bool{"YAML": false, "JSON": true} {
				data := cutFile(nodes, counted, asJSON)
				inForce, err := schema.Parse("topology.yaml", data)
				if err != nil {
					t.Fatal(err)
				}
				tried, loaded, passed := 0, 0, []int{}
				for end := range data {
					if !full && len(data) > 2000 && !boundary(data, end) {
						continue // what is cut inside of a line is seen in the small files
					}
					tried++
					next, err := schema.Parse("topology.yaml", data[:end:end])
					if err != nil {
						continue
					}
					loaded++
					if admits(t, inForce, next) {
						passed = append(passed, len(next.Nodes))
					}
				}
				name := fmt.Sprintf("%d nodes, %s, with nodeCount", nodes, format)
				least := nodes - (nodes+8)/10 // a tenth of the peers, rounded up, may go
				switch {
				case counted && loaded > 0:
					t.Errorf("%s: %d prefixes pass the loader", name, loaded)
				case !counted && len(passed) > 0 && slices.Min(passed) < least:
					t.Errorf("%d nodes, %s: a prefix of %d nodes passes the guard, want at least %d", nodes, format, slices.Min(passed), least)
				case !counted && asJSON && loaded > 0:
					t.Errorf("%d nodes, JSON: %d prefixes pass the loader", nodes, loaded)
				}
				if !counted {
					name = strings.Replace(name, "with nodeCount", "without", 1)
				}
				table += fmt.Sprintf("%-44s %10d %14d %14d\n", name, tried, loaded, len(passed))
			}
		}
	}
	if full {
		fmt.Println(table)
	} else {
		t.Log("\n" + table)
	}
}

// boundary says that a prefix ends at the end of a line or right before it.
func boundary(data []byte, end int) bool {
	return end > 0 && (data[end-1] == '\n' || data[end] == '\n')
}

// admits asks the guard of the first node, which is in every prefix that has nodes.
func admits(t *testing.T, inForce, next *schema.Topology) bool {
	t.Helper()
	own := next.Node("node-0")
	if own == nil {
		return false // refused without the guard: no entry
	}
	guard, err := reconcile.Protect(nil, own, inForce, next)
	if err != nil {
		t.Fatal(err)
	}
	return guard.Passes
}
