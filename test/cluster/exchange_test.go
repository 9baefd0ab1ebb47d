package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// arrangement is one way to give names, addresses and ranges to three nodes.
type arrangement struct {
	what  string
	names [3]int // which node has the address and ranges of each place
	ips   [3]int
	four  [3]int // -1: none
	six   [3]int
	extra string // a line of the file
}

// arrangements are what nodes can exchange with each other, one thing at a time and all at once.
func arrangements() []arrangement {
	same, swapped, moved := [3]int{0, 1, 2}, [3]int{1, 0, 2}, [3]int{1, 2, 0}
	none, none6 := [3]int{-1, 1, 2}, [3]int{0, -1, 2}
	return []arrangement{
		{"as at first", same, same, same, same, ""},
		{"two nodes have each other's IPv4 ranges", same, same, swapped, same, ""},
		{"two nodes have each other's ranges", same, same, swapped, swapped, ""},
		{"each has the next one's ranges", same, same, moved, moved, ""},
		{"two peers have each other's ranges", same, same, [3]int{0, 2, 1}, [3]int{0, 2, 1}, ""},
		{"two nodes have each other's addresses", same, swapped, same, same, ""},
		{"two peers have each other's addresses", same, [3]int{0, 2, 1}, same, same, ""},
		{"two nodes have each other's names", swapped, same, same, same, ""},
		{"two peers have each other's names", [3]int{0, 2, 1}, same, same, same, ""},
		{"a node without IPv4", same, same, none, same, ""},
		{"a peer without IPv6", same, same, same, none6, ""},
		{"one family for each node", same, same, none, none6, ""},
		{"everything moved on", moved, [3]int{2, 0, 1}, swapped, moved, ""},
		{"other devices", same, same, same, same, "network: {bridge: {name: cni7}, vxlan: {name: podnet.7}}"},
		{"other devices, everything moved on", moved, [3]int{2, 0, 1}, swapped, moved, "network: {bridge: {name: cni7}, vxlan: {name: podnet.7}}"},
		{"another VNI and port, ranges moved on", same, same, moved, moved, "network: {vxlan: {name: podnet.1, vni: 7, port: 4789}}"},
	}
}

// topology is the file, and the address of the node with the given name.
func (a arrangement) topology(l *lab.Lab, ips []string, name string) (lab.Topology, string) {
	t, ip := lab.Topology{Name: "lab", Extra: []string{a.extra}}, ""
	for i := range l.Nodes {
		e := lab.Entry{Name: l.Nodes[a.names[i]].Host, IP: ips[a.ips[i]]}
		if a.four[i] >= 0 {
			e.PodCIDRs = append(e.PodCIDRs, lab.PodCIDR4(a.four[i]))
		}
		if a.six[i] >= 0 {
			e.PodCIDRs = append(e.PodCIDRs, lab.PodCIDR6(a.six[i]))
		}
		t.Nodes = append(t.Nodes, e)
		if e.Name == name {
			ip = e.IP
		}
	}
	return t, ip
}

// One apply makes a node what a file asks for, from whatever nodes have exchanged with each other.
func TestEveryExchangeInOneApply(t *testing.T) {
	l, _ := nodes(t, "node-a", "node-b", "node-c")
	n := l.Nodes[0]
	var ips []string
	ip6s := map[string]string{} // that goes with each
	for _, node := range l.Nodes {
		ips, ip6s[node.IP4] = append(ips, node.IP4), node.IP6
	}
	at := n.IP4
	become := func(a arrangement, from string) {
		t.Helper()
		topology, ip := a.topology(l, ips, n.Host)
		if ip != at {
			l.Renumber(n, ip, ip6s[ip])
			at = ip
		}
		n.WriteFile(nextPath, topology.String())
		out := n.Podnetctl("apply", "--allow-disruption", n.Path(nextPath))
		if out.Code != 0 || strings.Contains(out.Stdout+out.Stderr, "FAILED") {
			t.Errorf("from %q to %q: exit code %d\n%s%s", from, a.what, out.Code, out.Stdout, out.Stderr)
			n.Podnetctl("apply")
		}
	}
	all := arrangements()
	pairs, tried := 0, 0
	for i, a := range all {
		become(a, "the one before")
		for _, b := range all[i+1:] {
			if pairs++; lab.InShare(pairs, 5) {
				tried++
				become(b, a.what)
				become(a, b.what)
			}
		}
	}
	fmt.Fprintf(t.Output(), "%d arrangements, %d of %d pairs into each other\n", len(all), tried, pairs)
}
