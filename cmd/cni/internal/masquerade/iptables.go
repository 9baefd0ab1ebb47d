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
	return []*netfilter.IPTables{i.conn.IPTables(netlink.IPv4, "nat"), i.conn.IPTables(netlink.IPv6, "nat")}
}

func (i iptables) repair(p Pod, addrs []netip.Prefix) (change, error) {
	var changes []change
	for n, table := range i.tables() {
		f := []netlink.Family{netlink.IPv4, netlink.IPv6}[n]
		mine := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Prefix) bool { return family(a) != f })
		if len(mine) == 0 {
			continue
		}
		chains, rules, err := missing(table, p, mine, f)
		if err != nil {
			return nil, err
		}
		if len(rules) > 0 {
			changes = append(changes, func() error { return table.Append(chains, rules) })
		}
	}
	return all(changes), nil
}

// missing are the rules of a family that are not there. A chain is written anew that has not all of
// its rules.
func missing(table *netfilter.IPTables, p Pod, addrs []netip.Prefix, f netlink.Family) (chains []string, rules []netfilter.NATRule, err error) {
	name, comment := chainOf(p), commentOf(p)
	inside, err := current(table, name)
	if err != nil {
		return nil, nil, err
	}
	within := map[netip.Prefix]bool{}
	for _, r := range inside {
		within[r.Destination] = true
	}
	whole := len(inside) > 1
	for _, a := range addrs {
		whole = whole && within[a.Masked()]
	}
	if !whole {
		chains = []string{name}
		networks := map[netip.Prefix]bool{}
		for _, a := range addrs {
			if !networks[a.Masked()] {
				networks[a.Masked()] = true
				rules = append(rules, netfilter.NATRule{Chain: name, Destination: a.Masked(), Comment: comment, Target: netfilter.Accept})
			}
		}
		rules = append(rules, netfilter.NATRule{Chain: name, Except: multicast(f), Comment: comment, Target: netfilter.Masquerade})
	}
	jumps, err := current(table, postrouting)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range addrs {
		leads := func(r netfilter.Rule) bool { return r.Jump == name && r.Source == single(a) }
		if !slices.ContainsFunc(jumps, leads) {
			rules = append(rules, netfilter.NATRule{Chain: postrouting, Source: single(a), Comment: comment, Target: name})
		}
	}
	return chains, rules, nil
}

// current are the rules of a chain that the host's iptables goes by.
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

// unusedChains are those that the dead rules led to, or that are named and there, less the used
// ones.
func unusedChains(table *netfilter.IPTables, dead []netfilter.Rule, used map[string]bool, named []string) ([]string, error) {
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
