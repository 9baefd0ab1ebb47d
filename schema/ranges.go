package schema

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// maxAggregated bounds the ranges that podnet finds by itself: each becomes a firewall rule on
// every node.
const maxAggregated = 64

// checkRanges holds podCIDRs against clusterCIDRs, or makes clusterCIDRs out of them.
func (r *reader) checkRanges(o, network *object, entries []entry, ranges clusterRanges, net *Network) {
	if ranges.broken {
		return
	}
	if len(ranges.prefixes) > 0 {
		net.ClusterCIDRs = ranges.prefixes
		r.checkInside(entries, ranges.prefixes)
		r.warnNodesInside(entries, ranges)
		return
	}
	var pods []netip.Prefix
	for i := range entries {
		pods = append(pods, entries[i].PodCIDRs...)
	}
	net.ClusterCIDRs = Aggregate(pods)
	if n := len(net.ClusterCIDRs); n > maxAggregated {
		at := o.key("nodes")
		if v, ok := network.get("clusterCIDRs"); ok {
			at = v.n
		}
		r.fault(at, "network.clusterCIDRs", fmt.Sprintf("is not set, and the podCIDRs are in %d separate ranges", n),
			fmt.Sprintf("name the ranges that every podCIDR lies in; without them podnet puts at most %d together itself",
				maxAggregated))
	}
}

// checkInside: merged ranges are sorted and disjoint, so the one that may hold a podCIDR is found
// by bisection.
func (r *reader) checkInside(entries []entry, cluster []netip.Prefix) {
	merged := Aggregate(cluster)
	for i := range entries {
		e := &entries[i]
		for _, pod := range e.pods {
			if !insideOne(merged, pod.prefix) {
				r.fault(pod.at, pod.field(e), pod.prefix.String()+" is outside network.clusterCIDRs",
					"inside "+oneOf(cluster, pod.prefix))
			}
		}
	}
}

func insideOne(merged []netip.Prefix, p netip.Prefix) bool {
	at, exact := slices.BinarySearchFunc(merged, p, comparePrefixes)
	return exact || at > 0 && merged[at-1].Bits() <= p.Bits() && merged[at-1].Overlaps(p)
}

// oneOf names the cluster ranges of a podCIDR's family.
func oneOf(cluster []netip.Prefix, p netip.Prefix) string {
	const most = 4
	var names []string
	for _, c := range cluster {
		if c.Addr().Is4() == p.Addr().Is4() {
			names = append(names, c.String())
		}
	}
	switch {
	case len(names) == 0:
		return "a range that clusterCIDRs does not have yet: it holds no " + family(p.Addr())
	case len(names) > most:
		return strings.Join(names[:most], " or ") + fmt.Sprintf(" or one of %d more", len(names)-most)
	}
	return strings.Join(names, " or ")
}

// Around returns the least prefix that holds both a, unless that is the zero Prefix, and b.
func Around(a, b netip.Prefix) netip.Prefix {
	if !a.IsValid() {
		return b.Masked()
	}
	for a.Bits() > b.Bits() || !a.Contains(b.Addr()) {
		a = netip.PrefixFrom(a.Addr(), a.Bits()-1).Masked()
	}
	return a
}

// Aggregate gives the fewest prefixes that hold the same addresses, in order.
func Aggregate(prefixes []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(prefixes)
	slices.SortFunc(sorted, comparePrefixes)
	var merged []netip.Prefix
	for _, p := range sorted {
		if n := len(merged); n > 0 && merged[n-1].Overlaps(p) {
			continue // sorted: the earlier is the wider
		}
		merged = append(merged, p)
		for n := len(merged); n > 1 && areHalves(merged[n-2], merged[n-1]); n = len(merged) {
			merged = append(merged[:n-2], netip.PrefixFrom(merged[n-2].Addr(), merged[n-2].Bits()-1))
		}
	}
	return slices.Clip(merged)
}

// areHalves: two ranges in ascending order that together are one.
func areHalves(low, high netip.Prefix) bool {
	if low.Bits() != high.Bits() || low.Bits() == 0 || low.Addr().BitLen() != high.Addr().BitLen() {
		return false
	}
	both := netip.PrefixFrom(low.Addr(), low.Bits()-1)
	return both.Masked() == both && both.Contains(high.Addr())
}

func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
