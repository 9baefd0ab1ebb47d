package portmap

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/state/netfilter"
)

// chain is a pod's, as it is in force.
type chain struct {
	name     string
	ipv6     bool
	owner    owner            // whose it is; the zero value if nothing says so
	entries  []netfilter.Rule // the rules that lead to the chain
	rules    []netfilter.Rule // the rules in the chain
	mappings []mapping        // what those rules say
}

// referenceChainOf returns the name of the chain of a container on a network, as the reference
// plugin makes it. A second interface of the container on that network has a chain of its own,
// chainOf, which every attachment had in earlier versions.
func referenceChainOf(o owner) string {
	sum := sha512.Sum512([]byte(o.network + o.container))
	return podChain + hex.EncodeToString(sum[:])[:21]
}

func chainOf(o owner) string {
	sum := sha256.Sum256([]byte(o.String()))
	return podChain + hex.EncodeToString(sum[:])[:21]
}

func chainsOf(o owner) []string { return []string{referenceChainOf(o), chainOf(o)} }

// entryComment returns the comment that the reference plugin writes. It does not say which
// interface is meant.
func entryComment(o owner) string {
	return fmt.Sprintf(`dnat name: "%s" id: "%s"`, o.short().network, o.short().container)
}

func parseEntry(comment string) (owner, bool) {
	rest, ok := strings.CutPrefix(comment, `dnat name: "`)
	network, rest, ok2 := strings.Cut(rest, `" id: "`)
	container, ok3 := strings.CutSuffix(rest, `"`)
	return owner{network, container, ""}, ok && ok2 && ok3
}

// markerComment returns the text that parseMarker reads.
func markerComment(o owner, m mapping) string { return m.String() + " " + o.String() }

func parseMarker(comment string) (owner, mapping, bool) {
	i := strings.LastIndexByte(comment, ' ')
	if i < 0 {
		return owner{}, mapping{}, false
	}
	m, isMapping := parseMapping(comment[:i])
	o, isOwner := parseOwner(comment[i+1:])
	return o, m, isMapping && isOwner
}

// entries returns the rules of topChain, by the chain that they lead to.
func (t *iptables) entries(ipv6 bool) (map[string][]netfilter.Rule, error) {
	rules, err := t.nat[ipv6].Rules(topChain)
	if err != nil {
		return nil, err
	}
	entries := map[string][]netfilter.Rule{}
	for _, r := range rules {
		entries[r.Jump] = append(entries[r.Jump], r)
	}
	return entries, nil
}

// chain reads one that may not exist. Earlier versions had a marker's comment at the entry.
func (t *iptables) chain(ipv6 bool, name string, entries []netfilter.Rule) (*chain, error) {
	c := &chain{name: name, ipv6: ipv6, entries: entries}
	var err error
	if strings.HasPrefix(name, podChain) {
		if c.rules, err = t.nat[ipv6].Rules(name); err != nil {
			return nil, err
		}
	}
	for _, r := range slices.Concat(c.rules, entries) {
		if o, m, ok := parseMarker(r.Comment); ok {
			c.owner, c.mappings = o, append(c.mappings, m)
		} else if o, ok := parseEntry(r.Comment); ok && c.owner.container == "" {
			c.owner = o
		}
	}
	return c, nil
}

// theirs reports whether the reference plugin has made the chain.
func (c *chain) theirs() bool { return c.owner.container != "" && c.owner.ifname == "" }

// mine returns the chain of an attachment that has rules or is led to, nil if there is none.
func (t *iptables) mine(ipv6 bool, o owner, entries map[string][]netfilter.Rule) (*chain, error) {
	for _, name := range chainsOf(o) {
		c, err := t.chain(ipv6, name, entries[name])
		if err != nil {
			return nil, err
		}
		if len(c.rules)+len(c.entries) > 0 && o.names(c.owner) {
			return c, nil
		}
	}
	return nil, nil
}

// freeChain returns the chain for an attachment that has none: the reference plugin's, unless
// another interface of the container has it.
func (t *iptables) freeChain(ipv6 bool, o owner) (string, error) {
	c, err := t.chain(ipv6, referenceChainOf(o), nil)
	if err == nil && c.owner.container != "" {
		return chainOf(o), nil
	}
	return referenceChainOf(o), err
}

// leadHere reports whether the entries are those that an ADD would write.
func (c *chain) leadHere(a *attachment) bool {
	want := entriesOf(a)
	if len(c.entries) != len(want) {
		return false
	}
	for i, r := range c.entries {
		if !slices.Equal(r.Ports, want[i].ports) {
			return false
		}
	}
	return true
}

// holds reports whether these are the rules of the chain, by what can be read of them: comments,
// and chains that they lead to. Of nftables a target that is no chain cannot.
func (c *chain) holds(want []podRule) bool {
	return slices.EqualFunc(c.rules, want, func(r netfilter.Rule, w podRule) bool {
		target, _, _ := strings.Cut(w.target, " ")
		unread := r.Jump == "" && (target == "DNAT" || target == "RETURN")
		return r.Comment == w.comment && (r.Jump == target || unread)
	})
}

// listTheirs reads what the rules of a chain of the reference plugin's do.
func (t *iptables) listTheirs(c *chain) error {
	rules, err := t.nat[c.ipv6].Listed()
	if err != nil {
		return err
	}
	c.rules, c.mappings = nil, nil
	for _, r := range rules {
		if r.Chain != c.name {
			continue
		}
		c.rules = append(c.rules, r)
		if m, ok := mappingOf(r, c.ipv6); ok {
			c.mappings = append(c.mappings, m)
		}
	}
	return nil
}

// lacks names what an attachment needs and a chain of the reference plugin's does not have, if
// anything.
func (c *chain) lacks(a *attachment) string {
	led := map[uint16]bool{}
	for _, r := range c.entries {
		for _, p := range r.Ports {
			led[p] = true
		}
	}
	forwards := a.family(c.ipv6)
	for _, f := range forwards {
		if !led[f.host.Port()] {
			return "chain " + topChain
		}
		if !slices.Contains(c.mappings, f.mapping) {
			return "chain " + c.name
		}
		for _, s := range f.sources {
			if !slices.ContainsFunc(c.rules, func(r netfilter.Rule) bool { return marks(r, f, s) }) {
				return "chain " + c.name
			}
		}
	}
	if len(c.mappings) != len(forwards) {
		return "chain " + c.name
	}
	return ""
}

// marks reports whether a rule of the reference plugin's has a mapping's packets from a source
// masqueraded. Of the loopback addresses it marks only the first.
func marks(r netfilter.Rule, f forward, source netip.Prefix) bool {
	from := r.Source
	if !from.IsValid() {
		from = netip.PrefixFrom(source.Addr(), 0)
	}
	covered := from.Masked() == source.Masked() || source.Addr().IsLoopback() && source.Contains(from.Addr())
	port := r.Protocol == netfilter.Protocols[f.protocol] && r.Port == f.host.Port()
	return port && !r.To.IsValid() && covered
}
