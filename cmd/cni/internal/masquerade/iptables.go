package masquerade

import (
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// iptables has a chain for each container on a network, and in POSTROUTING a jump to it for each
// address.
type iptables struct{ conn *netfilter.Conn }

const postrouting = "POSTROUTING"

// chainOf and commentOf are the reference plugin's names; neither says which interface is meant.
func chainOf(p Pod) string {
	sum := sha512.Sum512([]byte(p.Network + p.ContainerID))
	return "CNI-" + hex.EncodeToString(sum[:])[:24]
}

func commentOf(p Pod) string { return fmt.Sprintf("name: %q id: %q", p.Network, p.ContainerID) }

func parseComment(text string) (p Pod, ok bool) {
	rest, ok := strings.CutPrefix(text, `name: "`)
	p.Network, rest, _ = strings.Cut(rest, `" id: "`)
	id, whole := strings.CutSuffix(rest, `"`)
	p.ContainerID = id
	return p, ok && whole
}

func (i iptables) tables() []*netfilter.IPTables {
	return []*netfilter.IPTables{
		i.conn.IPTables(netlink.IPv4, "nat"),
		i.conn.IPTables(netlink.IPv6, "nat"),
	}
}

func (i iptables) repair(p Pod, addrs []netip.Prefix) (change, error) {
	var changes []change
	for n, table := range i.tables() {
		f := []netlink.Family{netlink.IPv4, netlink.IPv6}[n]
		mine := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Prefix) bool {
			return netlink.FamilyOf(a.Addr()) != f
		})
		if len(mine) == 0 {
			continue
		}
		g, err := missing(table, p, mine)
		if err != nil {
			return nil, err
		}
		if len(g.rules) > 0 {
			changes = append(changes, func() error { return table.Append(g.chains, g.rules) })
		}
	}
	return all(changes), nil
}

// gap is what the table of a family lacks: chains to write anew, and rules.
type gap struct {
	chains []string
	rules  []netfilter.NATRule
}

// missing returns what is not there of a pod's addresses in one family. A chain that lacks one of
// its rules is written anew.
func missing(table *netfilter.IPTables, p Pod, addrs []netip.Prefix) (g gap, err error) {
	name, comment := chainOf(p), commentOf(p)
	inside, err := current(table, name)
	if err != nil {
		return gap{}, err
	}
	if !whole(inside, addrs) {
		g.chains, g.rules = []string{name}, chainRules(p, addrs)
	}
	jumps, err := current(table, postrouting)
	if err != nil {
		return gap{}, err
	}
	for _, a := range addrs {
		leads := func(r netfilter.Rule) bool { return r.Jump == name && r.Source == single(a) }
		if !slices.ContainsFunc(jumps, leads) {
			g.rules = append(g.rules, netfilter.NATRule{
				Chain: postrouting, Source: single(a), Comment: comment, Target: name,
			})
		}
	}
	return g, nil
}

// whole reports whether the rules in a pod's chain are all that it needs.
func whole(inside []netfilter.Rule, addrs []netip.Prefix) bool {
	within := map[netip.Prefix]bool{}
	for _, r := range inside {
		within[r.Destination] = true
	}
	lacks := func(a netip.Prefix) bool { return !within[a.Masked()] }
	return len(inside) > 1 && !slices.ContainsFunc(addrs, lacks)
}

// chainRules returns the rules of a pod's chain for addresses of one family: what stays in their
// networks is accepted, the rest is masqueraded.
func chainRules(p Pod, addrs []netip.Prefix) []netfilter.NATRule {
	name, comment := chainOf(p), commentOf(p)
	var rules []netfilter.NATRule
	networks := map[netip.Prefix]bool{}
	for _, a := range addrs {
		if !networks[a.Masked()] {
			networks[a.Masked()] = true
			rules = append(rules, netfilter.NATRule{
				Chain: name, Destination: a.Masked(), Comment: comment, Target: netfilter.Accept,
			})
		}
	}
	return append(rules, netfilter.NATRule{
		Chain: name, Except: multicast(netlink.FamilyOf(addrs[0].Addr())), Comment: comment, Target: netfilter.Masquerade,
	})
}

// current returns the rules of a chain in the tables that the host's iptables programs write.
func current(table *netfilter.IPTables, chain string) ([]netfilter.Rule, error) {
	rules, err := table.Rules(chain)
	if err != nil {
		return nil, err
	}
	return table.Current(rules)
}

func (i iptables) removal(p Pod, keep func(netip.Addr) (bool, error)) (change, error) {
	name := chainOf(p)
	return i.remove(func(r netfilter.Rule) (bool, error) {
		if r.Jump != name {
			return false, nil
		}
		kept, err := keep(r.Source.Addr())
		return !kept, err
	}, name)
}

func (i iptables) garbage(network string, valid protocol.Attachments) (change, error) {
	return i.remove(func(r netfilter.Rule) (bool, error) {
		p, ok := parseComment(r.Comment)
		return ok && p.Network == network && r.Jump == chainOf(p) && !valid.Has(p.ContainerID, ""), nil
	})
}

// remove deletes the jumps that match, and then the chains that no jump leads to any more, also
// those named, which may have lost theirs.
func (i iptables) remove(match func(netfilter.Rule) (bool, error), chains ...string) (change, error) {
	var changes []change
	for _, table := range i.tables() {
		jumps, err := table.Rules(postrouting)
		if err != nil {
			return nil, err
		}
		used := map[string]bool{}
		var dead []netfilter.Rule
		for _, r := range jumps {
			is, err := match(r)
			if err != nil {
				return nil, err
			}
			if is {
				dead = append(dead, r)
			} else {
				used[r.Jump] = true
			}
		}
		unused, err := unusedChains(table, dead, used, chains)
		if err != nil {
			return nil, err
		}
		if len(dead)+len(unused) > 0 {
			changes = append(changes, func() error { return table.Delete(dead, unused...) })
		}
	}
	return all(changes), nil
}

// unusedChains returns the chains that the dead rules led to, or that are named and there, less
// the used ones.
func unusedChains(
	table *netfilter.IPTables, dead []netfilter.Rule, used map[string]bool, named []string,
) ([]string, error) {
	var chains []string
	for _, d := range dead {
		if !used[d.Jump] && !slices.Contains(chains, d.Jump) {
			chains = append(chains, d.Jump)
		}
	}
	for _, name := range named {
		if used[name] || slices.Contains(chains, name) {
			continue
		}
		there, err := table.HasChain(name)
		if err != nil {
			return nil, err
		}
		if there {
			chains = append(chains, name)
		}
	}
	return chains, nil
}

// all makes one change of several; nil of none.
func all(changes []change) change {
	if len(changes) == 0 {
		return nil
	}
	return func() error {
		for _, do := range changes {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
	}
}
