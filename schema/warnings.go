package schema

import (
	"fmt"
	"strings"
)

// maxNamed bounds how many nodes get a warning of their own; beyond it one warning speaks for all of them.
const maxNamed = 20

// warnFamilies finds nodes without a podCIDR of a family that others have: their pods cannot reach each other over it.
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
		message, remedy := e.title()+" has no podCIDRs yet: it is not Ready and nobody's peer", "podnetctl allocate hands them out"
		if len(e.PodCIDRs) > 0 {
			missing := lacks(e, have)
			message = fmt.Sprintf("%s has no %s range, which other nodes have: its pods cannot reach theirs over %s", e.title(), missing, missing)
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
	r.warn(lacking[0].podsPlace(), "nodes", fmt.Sprintf("%d nodes have no range of a family that other nodes have: %s and %d more",
		len(lacking), strings.Join(names, ", "), len(lacking)-maxNamed), "podnetctl allocate hands them out to nodes that have none")
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
