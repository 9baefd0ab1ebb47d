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
