package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// families are the kinds of cluster that are measured.
type families int

const (
	ipv4 families = iota
	dual
)

func (f families) String() string { return [...]string{"IPv4", "dual stack"}[f] }

const (
	range4 = "10.128.0.0/9"
	range6 = "fd00:10:244::/48"
	bits4  = 26 // so that 65,536 podCIDRs and more fit into range4
)

// site is a topology of so many peers and the node itself, which comes first.
func site(n *lab.Node, peers int, f families) lab.Topology {
	t := lab.Topology{Name: "bench", Extra: []string{fmt.Sprintf("network: {clusterCIDRs: [%q]}", range4)}}
	if f == dual {
		t.Extra[0] = fmt.Sprintf("network: {clusterCIDRs: [%q, %q]}", range4, range6)
	}
	for i := range peers + 1 {
		e := lab.Entry{
			Name:     fmt.Sprintf("node-%05d", i),
			IP:       netip.AddrFrom4([4]byte{172, byte(16 + i>>16), byte(i >> 8), byte(i)}).String(),
			PodCIDRs: []string{podCIDR4(i)},
		}
		if f == dual {
			e.PodCIDRs = append(e.PodCIDRs, podCIDR6(i))
		}
		if i == 0 {
			e.Name, e.IP = n.Host, n.IP4
		}
		t.Nodes = append(t.Nodes, e)
	}
	return t
}

// podCIDR4 is the range of node i.
func podCIDR4(i int) string {
	offset := i << (32 - bits4)
	return fmt.Sprintf("10.%d.%d.%d/%d", 128+offset>>16, offset>>8&255, offset&255, bits4)
}

func podCIDR6(i int) string {
	return netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0, 0, 0x10, 2, 0x44, byte(i >> 8), byte(i)}), 64).String()
}

// alone is the topology without the peers.
func alone(t lab.Topology) lab.Topology {
	t.Nodes = t.Nodes[:1]
	return t
}

// deviceCommands make the vxlan device that carries the entries.
func deviceCommands(n *lab.Node, t lab.Topology) []string {
	return []string{
		"link add podnet.1 address " + contract.VTEPMAC(t.Name, n.Host) + " type vxlan id 1 dstport 8472 local " + n.IP4 +
			" nolearning",
		"link set podnet.1 addrgenmode none",
		"addr add " + netip.MustParsePrefix(t.Nodes[0].PodCIDRs[0]).Addr().String() + "/32 dev podnet.1",
		"link set podnet.1 mtu 1450 up",
	}
}

// entryCommands are the peers' entries as podnet makes them, for ip -batch and bridge -batch.
func entryCommands(n *lab.Node, t lab.Topology) (ip, bridge []string) {
	for _, p := range t.Peers(n.Host) {
		mac := contract.VTEPMAC(t.Name, p.Name)
		bridge = append(bridge, fmt.Sprintf("fdb add %s dev podnet.1 dst %s self permanent", mac, p.IP))
		for _, text := range p.PodCIDRs {
			cidr := netip.MustParsePrefix(text)
			via, onlink := cidr.Addr(), " onlink"
			if cidr.Addr().Is6() {
				via, onlink = contract.LinkLocal(mac), ""
			}
			ip = append(ip,
				fmt.Sprintf("neigh add %s lladdr %s dev podnet.1 nud permanent", via, mac),
				fmt.Sprintf("route add %s via %s dev podnet.1%s metric %d proto 72", cidr, via, onlink, contract.Metric(cidr)))
		}
	}
	return ip, bridge
}

// complete says whether every entry is there: each by its text, or of a great many how many there
// are.
func complete(n *lab.Node, t lab.Topology) error {
	const readable = 10000 // the tools' JSON of more takes minutes
	want := contract.Lines(t.Name, lab.VXLAN, t.Peers(n.Host))
	if len(t.Nodes)-1 <= readable {
		have, err := n.PeerEntries(lab.VXLAN)
		if err == nil && !slices.Equal(have, want) {
			err = fmt.Errorf("%s: %d entries of peers, and not the %d that the topology asks for", n.Host, len(have), len(want))
		}
		return err
	}
	have := 0
	for _, query := range []string{
		"ip -4 route show proto 72", "ip -6 route show proto 72", "ip neigh show dev podnet.1 nud permanent",
		"bridge fdb show dev podnet.1",
	} {
		out, err := n.Exec(strings.Fields(query)...)
		if err != nil {
			return err
		}
		have += strings.Count(out, "\n")
	}
	if have != len(want) {
		return fmt.Errorf("%s: %d entries of peers, want %d", n.Host, have, len(want))
	}
	return nil
}
