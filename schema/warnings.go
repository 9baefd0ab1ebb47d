package schema

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
)

// maxNamed bounds how many nodes get a warning of their own; beyond it one warning speaks for all
// of them.
const maxNamed = 20

// warnFamilies finds nodes without a podCIDR of a family that others have: their pods cannot reach
// each other over it.
func (r *reader) warnFamilies(entries []entry) {
	var have [2]int // nodes with IPv4, with IPv6
	for i := range entries {
		for k, has := range entries[i].families() {
			if has {
				have[k]++
			}
		}
	}
	var lacking []*entry
	for i := range entries {
		if !entries[i].broken && lacks(&entries[i], have) != "" {
			lacking = append(lacking, &entries[i])
		}
	}
	if len(lacking) > maxNamed {
		r.warnMany(lacking)
		return
	}
	for _, e := range lacking {
		message, remedy := e.title()+
			" has no podCIDRs yet: it is not Ready and nobody's peer", "podnetctl allocate hands them out"
		if len(e.PodCIDRs) > 0 {
			missing := lacks(e, have)
			message = fmt.Sprintf("%s has no %s range, which other nodes have: its pods cannot reach theirs over %s", e.title(),
				missing, missing)
			remedy = "add one, or take it from the others"
		}
		r.warn(e.podsPlace(), e.field("podCIDRs"), message, remedy)
	}
}

func (r *reader) warnMany(lacking []*entry) {
	var names []string
	for _, e := range lacking[:maxNamed] {
		names = append(names, e.title())
	}
	r.warn(lacking[0].podsPlace(), "nodes",
		fmt.Sprintf("%d nodes have no range of a family that other nodes have: %s and %d more",
			len(lacking), strings.Join(names, ", "), len(lacking)-maxNamed),
		"podnetctl allocate hands them out to nodes that have none")
}

func (e *entry) families() (has [2]bool) {
	for _, p := range e.PodCIDRs {
		if p.Addr().Is4() {
			has[0] = true
		} else {
			has[1] = true
		}
	}
	return has
}

// lacks names the families that others have and this one has not.
func lacks(e *entry, have [2]int) string {
	var missing []string
	for k, has := range e.families() {
		if !has && have[k] > 0 {
			missing = append(missing, [...]string{"IPv4", "IPv6"}[k])
		}
	}
	return strings.Join(missing, " or ")
}

// warnNodesInside finds cluster ranges that hold nodes' addresses. What pods send to such a range
// is not masqueraded, so that hosts beside the nodes, which have no way back to pods, do not
// answer.
func (r *reader) warnNodesInside(entries []entry, ranges clusterRanges) {
	byIP := sortedByIP(entries)
	warned := 0
	for i, p := range ranges.prefixes {
		start := sort.Search(len(byIP), func(k int) bool { return byIP[k].IP.Compare(p.Addr()) >= 0 })
		rest := byIP[start:]
		count := sort.Search(len(rest), func(k int) bool { return !p.Contains(rest[k].IP) })
		if count == 0 || warned == maxNamed {
			continue
		}
		warned++
		first := rest[0]
		who := fmt.Sprintf("%s, the ip of %s", first.IP, first.title())
		if count > 1 {
			who += fmt.Sprintf(", and those of %s more", plural(count-1, "node"))
		}
		at := ranges.places[i]
		r.warn(at.n, at.p.String(),
			fmt.Sprintf("a node's address is inside clusterCIDRs: %s holds %s; what pods send to addresses in it is not masqueraded, "+
				"and hosts there that are no nodes do not answer", p, who), "ranges that hold podCIDRs and no node's ip"+
				podRanges(entries, p))
	}
}

func sortedByIP(entries []entry) []*entry {
	var all []*entry
	for i := range entries {
		if entries[i].IP.IsValid() {
			all = append(all, &entries[i])
		}
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Or(a.IP.Compare(b.IP), cmp.Compare(a.index, b.index)) })
	return all
}

// podRanges are the ranges of podCIDRs inside of a wider one, for a remedy; "": there are none, or
// too many.
func podRanges(entries []entry, within netip.Prefix) string {
	const most = 4
	var pods []netip.Prefix
	for i := range entries {
		for _, p := range entries[i].PodCIDRs {
			if within.Overlaps(p) {
				pods = append(pods, p)
			}
		}
	}
	exact := Aggregate(pods)
	if len(exact) == 0 || len(exact) > most {
		return ""
	}
	var names []string
	for _, p := range exact {
		names = append(names, p.String())
	}
	return ", such as " + strings.Join(names, ", ")
}
