// Package contract computes what podnet promises to put into a node's kernel, from the words of
// state/REFERENCE.md and nothing of the project's own code, so that a mistake in that code shows.
package contract

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
)

// VTEPMAC is the MAC of a node's tunnel end.
func VTEPMAC(cluster, node string) string { return mac(cluster + "\x00" + node) }

// BridgeMAC is the MAC of a node's bridge.
func BridgeMAC(cluster, node string) string { return mac(cluster + "\x00" + node + "\x00bridge") }

// HostVeth is the name of the host's end of a pod's link.
func HostVeth(network, containerID, ifname string) string {
	sum := sha256.Sum256([]byte(network + "/" + containerID + "/" + ifname))
	return "veth" + hex.EncodeToString(sum[:])[:11]
}

// mac is the first six bytes of SHA-256, the local bit set and the multicast bit cleared.
func mac(seed string) string {
	sum := sha256.Sum256([]byte(seed))
	sum[0] = sum[0]&0xfe | 0x02
	return net.HardwareAddr(sum[:6]).String()
}

// LinkLocal is the address that EUI-64 makes of a MAC.
func LinkLocal(mac string) netip.Addr {
	hw, err := net.ParseMAC(mac)
	if err != nil {
		panic(err)
	}
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: hw[0] ^ 0x02, 9: hw[1], 10: hw[2], 11: 0xff, 12: 0xfe, 13: hw[3],
		14: hw[4], 15: hw[5]})
}

// Metric is the metric of the route to a podCIDR: spread for IPv4, where the kernel hashes by it,
// fixed for IPv6.
func Metric(podCIDR netip.Prefix) uint32 {
	if podCIDR.Addr().Is6() {
		return 1024
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(podCIDR.String())) // a hash's Write never fails
	return 100 + h.Sum32()%16384
}

// Peer is another node as seen from one.
type Peer struct {
	Name     string
	IP       string
	PodCIDRs []string
	MAC      string // empty: the derived one
}

// Lines are the entries of all peers of a node, one line each, sorted; lab.Node.PeerEntries prints
// the kernel's alike.
func Lines(cluster, vxlan string, peers []Peer) []string {
	var lines []string
	for _, p := range peers {
		m := p.MAC
		if m == "" {
			m = VTEPMAC(cluster, p.Name)
		}
		lines = append(lines, fmt.Sprintf("fdb %s dst %s dev %s", m, p.IP, vxlan))
		for _, text := range p.PodCIDRs {
			cidr := netip.MustParsePrefix(text)
			via, onlink := cidr.Addr(), " onlink"
			if cidr.Addr().Is6() {
				via, onlink = LinkLocal(m), ""
			}
			lines = append(lines,
				fmt.Sprintf("neigh %s lladdr %s dev %s", via, m, vxlan),
				fmt.Sprintf("route %s via %s dev %s%s metric %d", cidr, via, vxlan, onlink, Metric(cidr)))
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}
