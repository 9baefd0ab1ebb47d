package lab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/test/contract"
)

// PeerEntries are the node's entries for its peers as the kernel holds them, in the words of
// contract.Lines: everything of protocol 72, and every permanent neighbour and FDB entry of the
// vxlan device.
func (n *Node) PeerEntries(vxlan string) ([]string, error) {
	var lines []string
	for _, q := range []struct {
		query string
		line  func(o map[string]any) string
	}{
		{"bridge -j fdb show dev " + vxlan, func(o map[string]any) string {
			if o["dst"] == nil {
				return ""
			}
			return fmt.Sprintf("fdb %v dst %v dev %s", o["mac"], o["dst"], vxlan)
		}},
		{"ip -j neigh show dev " + vxlan + " nud permanent", func(o map[string]any) string {
			return fmt.Sprintf("neigh %v lladdr %v dev %s", o["dst"], o["lladdr"], vxlan)
		}},
		{"ip -N -j -4 route show table all proto 72", routeLine},
		{"ip -N -j -6 route show table all proto 72", routeLine},
	} {
		objects, err := n.objects(q.query)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			if line := q.line(o); line != "" {
				lines = append(lines, line)
			}
		}
	}
	slices.Sort(lines)
	return lines, nil
}

func routeLine(o map[string]any) string {
	onlink := ""
	if flags, _ := o["flags"].([]any); slices.Contains(flags, any("onlink")) {
		onlink = " onlink"
	}
	return fmt.Sprintf("route %v via %v dev %v%s metric %.0f", o["dst"], o["gateway"], o["dev"], onlink, o["metric"])
}

// Peers are the topology's other nodes, as seen from this one.
func (t Topology) Peers(self string) []contract.Peer {
	var peers []contract.Peer
	for _, e := range t.Nodes {
		if e.Name != self && len(e.PodCIDRs) > 0 {
			peers = append(peers, contract.Peer{Name: e.Name, IP: e.IP, PodCIDRs: e.PodCIDRs})
		}
	}
	return peers
}

// CheckPeers compares the entries in the kernel with what the contract derives from the topology;
// the error names every difference.
func (n *Node) CheckPeers(t Topology) error {
	return n.CheckEntries(VXLAN, contract.Lines(t.Name, VXLAN, t.Peers(n.Host)))
}

// VXLAN and Bridge are the default names of podnet's devices.
const (
	VXLAN  = "podnet.1"
	Bridge = "cni0"
)

// CheckEntries compares the entries in the kernel with these lines.
func (n *Node) CheckEntries(vxlan string, want []string) error {
	have, err := n.PeerEntries(vxlan)
	if err != nil {
		return err
	}
	var faults []string
	for _, line := range want {
		if !slices.Contains(have, line) {
			faults = append(faults, "missing: "+line)
		}
	}
	for _, line := range have {
		if !slices.Contains(want, line) {
			faults = append(faults, "not in the contract: "+line)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("%s:\n%s", n.Host, strings.Join(faults, "\n"))
	}
	return nil
}
