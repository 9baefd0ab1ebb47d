package schema

import (
	"strings"
	"testing"
)

// A cluster range that holds nodes' ips is warned of at its own line, with how many there are and
// what would be right.
func TestNodesInsideClusterRanges(t *testing.T) {
	const file = `apiVersion: podnet.dev/v1alpha1
kind: ClusterTopology
metadata: {name: lab}
network:
  clusterCIDRs:
  - RANGE
  - fd00:10:244::/48
nodes:
- {name: node-a, ip: 10.1.0.11, podCIDRs: [10.244.0.0/24, "fd00:10:244::/64"]}
- {name: node-b, ip: 10.1.0.12, podCIDRs: [10.244.1.0/24, "fd00:10:244:1::/64"]}
- {name: node-c, ip: 10.9.0.13, podCIDRs: [10.244.2.0/24, "fd00:10:244:2::/64"]}
`
	for cidr, want := range map[string]string{
		"10.0.0.0/8":                   "10.0.0.0/8 holds 10.1.0.11, the ip of node-a, and those of 2 nodes more",
		"10.0.0.0/8\n  - 10.9.0.13/32": "10.9.0.13/32 holds 10.9.0.13, the ip of node-c; ",
		"10.244.0.0/16":                "",
	} {
		topology, err := Parse("topology.yaml", []byte(strings.Replace(file, "RANGE", cidr, 1)))
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, w := range topology.Warnings {
			said += w.String() + "\n"
			if !strings.HasPrefix(w.Field, "network.clusterCIDRs[") || w.Line < 6 || !strings.Contains(w.Message, "a node's address is inside clusterCIDRs") ||
				!strings.Contains(w.Remedy, "10.244.") && strings.Contains(w.Message, "/8") {
				t.Errorf("%s: warning %s", cidr, w)
			}
		}
		if !strings.Contains(said, want) || want == "" && said != "" {
			t.Errorf("%s: warnings\n%s, want %q", cidr, said, want)
		}
	}
}
