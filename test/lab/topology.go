package lab

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// Topology is a topology file to be written. It knows just enough to spell one: nothing here checks
// it, so that a test can write nonsense too.
type Topology struct {
	Name    string   // metadata.name
	Count   int      // metadata.nodeCount if not 0
	Extra   []string // lines put in as they are, such as "network: {mtu: 1400}"
	Removed []string
	Nodes   []Entry
}

// Entry is one node of it.
type Entry struct {
	Name, IP string
	PodCIDRs []string
}

// Topology names every node of the lab, dual stack, over the IPv4 underlay; change what it returns
// at will. The node made first has 10.244.0.0/24 and fd00:10:244::/64.
func (l *Lab) Topology() Topology {
	t := Topology{Name: "lab"}
	for i, n := range l.Nodes {
		t.Nodes = append(t.Nodes, Entry{Name: n.Host, IP: n.IP4, PodCIDRs: []string{PodCIDR4(i), PodCIDR6(i)}})
	}
	return t
}

// PodCIDR4 and PodCIDR6 are the ranges of the lab's node number i, counted from 0.
func PodCIDR4(i int) string { return fmt.Sprintf("10.244.%d.0/24", i) }

// PodCIDR6 is PodCIDR4's counterpart.
func PodCIDR6(i int) string {
	if i == 0 {
		return "fd00:10:244::/64"
	}
	return fmt.Sprintf("fd00:10:244:%x::/64", i)
}

// Without is the topology less one node.
func (t Topology) Without(name string) Topology {
	var rest []Entry
	for _, e := range t.Nodes {
		if e.Name != name {
			rest = append(rest, e)
		}
	}
	t.Nodes = rest
	return t
}

// String is the file.
func (t Topology) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: podnet.dev/v1alpha1\nkind: ClusterTopology\nmetadata:\n  name: %s\n", t.Name)
	if t.Count != 0 {
		fmt.Fprintf(&b, "  nodeCount: %d\n", t.Count)
	}
	for _, line := range t.Extra {
		fmt.Fprintln(&b, line)
	}
	if len(t.Removed) > 0 {
		fmt.Fprintf(&b, "removedNodes: [%s]\n", strings.Join(t.Removed, ", "))
	}
	b.WriteString("nodes:\n")
	for _, e := range t.Nodes {
		fmt.Fprintf(&b, "- name: %s\n  ip: %q\n", e.Name, e.IP)
		if len(e.PodCIDRs) > 0 {
			fmt.Fprintf(&b, "  podCIDRs: [%q", e.PodCIDRs[0])
			for _, p := range e.PodCIDRs[1:] {
				fmt.Fprintf(&b, ", %q", p)
			}
			b.WriteString("]\n")
		}
	}
	return b.String()
}

// Digest is how podnet names the content of a file.
func Digest(content string) string {
	sum := sha256.Sum256([]byte(content))
	return "sha256:" + hex.EncodeToString(sum[:])
}
