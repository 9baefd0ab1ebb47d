package state

import (
	"hash/fnv"
	"net/netip"
)

// PeerMetric is the metric of the route to a peer's podCIDR. The kernel hashes IPv4 routes by
// device, protocol, scope and metric but not by gateway: with one metric for all, inserting n peers
// costs n². IPv6 has no such problem.
func PeerMetric(p netip.Prefix) uint32 {
	if p.Addr().Is6() {
		return 1024
	}
	h := fnv.New32a()
	h.Write(p.AppendTo(make([]byte, 0, 18)))
	return 100 + h.Sum32()%16384
}

// LinkLocal is the IPv6 next hop made of a VTEP MAC (EUI-64). The kernel takes a link-local gateway
// whatever other routes say of the peer's addresses.
func LinkLocal(m MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0xfe, 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4],
		15: m[5]})
}
