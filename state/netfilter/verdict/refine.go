package verdict

import (
	"encoding/json"
	"slices"
	"strings"
)

// Refine completes what iptables-save tells of one family, ip or ip6, by what nft tells of the same
// tables. iptables-save leaves out that a rule compares with a set, so that a rule about a few
// addresses looks like one about all packets, and it leaves out tables and chains that iptables
// itself could not have made.
func (r *Rules) Refine(nft *Rules, family string) {
	for _, c := range nft.ordered() {
		name, own := strings.CutPrefix(c.table, family+" ")
		if !own || !slices.Contains(iptablesTables(), name) {
			continue
		}
		key := name + " " + c.name
		switch known := r.chains[key]; {
		case known == nil && c.hook != "":
			nft.base = append(nft.base, c)
		case known != nil && len(known.rules) == len(c.rules):
			for i := range known.rules {
				known.rules[i].refine(c.rules[i])
			}
		}
	}
	nft.sort()
}

// ordered are all chains, in one order whenever it is asked.
func (r *Rules) ordered() []*chain {
	var names []string
	for name := range r.chains {
		names = append(names, name)
	}
	slices.Sort(names)
	var out []*chain
	for _, name := range names {
		out = append(out, r.chains[name])
	}
	return out
}

func (r *Rules) sort() {
	slices.SortStableFunc(r.base, func(a, b *chain) int { return a.priority - b.priority })
}

// refine takes over what nft tells of the same rule, if that compares with a set.
func (r *rule) refine(nft rule) {
	if !nft.sets {
		return
	}
	shown := r.fits
	r.text, r.matches, r.remedy = nft.text, max(r.matches, nft.matches), nft.remedy
	r.fits = func(p Packet) answer { return shown(p).and(nft.fits(p)) }
}

// looksUp reports whether a comparison is with a set, by name or in place.
func looksUp(body json.RawMessage) bool {
	var c struct{ Right any }
	if json.Unmarshal(body, &c) != nil {
		return false
	}
	switch right := c.Right.(type) {
	case string:
		return strings.HasPrefix(right, "@")
	case map[string]any:
		return right["set"] != nil
	}
	return false
}
