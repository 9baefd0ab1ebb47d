package portmap

import (
	"maps"
	"slices"
	"strings"

	"github.com/podnet/podnet/state/netfilter"
)

// whose says what is to be removed: of one attachment, or of all owners that match says yes to.
type whose struct {
	owner owner // the zero value if match says whose
	match func(owner, []mapping) bool
}

// removal is what a backend would remove. Nothing is changed until it is committed.
type removal struct {
	gone  []mapping // the mappings that are not in force afterwards
	parts []func() error
}

func (r *removal) empty() bool { return len(r.parts) == 0 }

func (r *removal) commit() error {
	for _, part := range r.parts {
		if err := part(); err != nil {
			return err
		}
	}
	return nil
}

func (r *removal) join(o *removal) {
	r.gone, r.parts = append(r.gone, o.gone...), append(r.parts, o.parts...)
}

// removal returns what to remove. It executes no program, unless the older filter has the rules.
func (t *iptables) removal(w whose) (*removal, error) {
	r := &removal{}
	for _, ipv6 := range families {
		entries, err := t.entries(ipv6)
		if err != nil {
			return nil, err
		}
		dead, err := t.dead(ipv6, w, entries)
		if err != nil {
			return nil, err
		}
		if len(dead) == 0 {
			continue
		}
		var rules []netfilter.Rule
		chains := map[string]bool{}
		for _, c := range dead {
			rules, r.gone = append(rules, c.entries...), append(r.gone, c.mappings...)
			if strings.HasPrefix(c.name, podChain) {
				chains[c.name] = true
			}
			delete(entries, c.name)
		}
		nat, last := t.nat[ipv6], len(entries) == 0
		r.parts = append(r.parts, func() error {
			return deleteWithShared(nat, rules, slices.Sorted(maps.Keys(chains)), last)
		})
	}
	return r, nil
}

// dead returns the chains that are to be removed. Those of one attachment are among them although
// nothing leads there any more.
func (t *iptables) dead(ipv6 bool, w whose, entries map[string][]netfilter.Rule) ([]*chain, error) {
	names := slices.Collect(maps.Keys(entries))
	if w.match == nil {
		names = chainsOf(w.owner)
	}
	var dead []*chain
	for _, name := range names {
		c, err := t.chain(ipv6, name, entries[name])
		if err != nil {
			return nil, err
		}
		if w.match != nil {
			if c.owner.container != "" && w.match(c.owner, c.mappings) {
				dead = append(dead, c)
			}
			continue
		}
		there := len(c.rules)+len(c.entries) > 0
		if !there {
			if there, err = t.nat[ipv6].HasChain(name); err != nil {
				return nil, err
			}
		}
		if there && (c.owner.container == "" || w.owner.names(c.owner)) {
			dead = append(dead, c)
		}
	}
	return dead, nil
}
