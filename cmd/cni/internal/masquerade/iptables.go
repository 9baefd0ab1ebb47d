package masquerade

import (
	"fmt"
	"slices"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
)

// iptables has, for each destination, a chain of two rules, and in POSTROUTING a jump to it for each source.
type iptables struct{ conn *firewall.Conn }

const postrouting = "POSTROUTING"

// chainRules is how many rules a chain has.
const chainRules = 2

func (i iptables) repairs(network string, rules []Rule) ([]repair, error) {
	var all []repair
	for _, f := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
		mine := slices.DeleteFunc(slices.Clone(rules), func(r Rule) bool { return family(r.Source) != f })
		if len(mine) == 0 {
			continue
		}
		table := i.conn.IPTables(f, "nat")
		lines, err := missingLines(table, network, mine)
		if err != nil {
			return nil, err
		}
		if len(lines) > 0 {
			all = append(all, func() error { return table.Restore(lines...) })
		}
	}
	return all, nil
}

func missingLines(table *firewall.IPTables, network string, rules []Rule) ([]string, error) {
	jumps, err := table.Rules(postrouting)
	if err != nil {
		return nil, err
	}
	var lines []string
	seen := map[string]bool{}
	for _, r := range rules {
		name := chain(network, r.Within)
		if !seen[name] {
			seen[name] = true
			content, err := table.Rules(name)
			if err != nil {
				return nil, err
			}
			if len(content) != chainRules {
				lines = append(lines, fillChain(name, r)...)
			}
		}
		if !slices.ContainsFunc(jumps, func(j firewall.Rule) bool { return j.Jump == name && j.Comment == r.comment(network) }) {
			lines = append(lines, fmt.Sprintf("-A %s -s %s -m comment --comment %q -j %s", postrouting, r.Source, r.comment(network), name))
		}
	}
	return lines, nil
}

// fillChain makes the chain, or empties one that is not as it should be.
func fillChain(name string, r Rule) []string {
	return []string{
		":" + name + " - [0:0]",
		fmt.Sprintf("-A %s -d %s -j ACCEPT", name, r.Within),
		fmt.Sprintf("-A %s ! -d %s -j MASQUERADE", name, multicast(r.Within)),
	}
}

func (i iptables) remove(_ string, match func(string) bool) error {
	for _, f := range []firewall.Family{firewall.IPv4, firewall.IPv6} {
		table := i.conn.IPTables(f, "nat")
		jumps, err := table.Rules(postrouting)
		if err != nil {
			return err
		}
		dead := slices.DeleteFunc(slices.Clone(jumps), func(r firewall.Rule) bool { return !match(r.Comment) })
		if len(dead) == 0 {
			continue
		}
		left := slices.DeleteFunc(jumps, func(r firewall.Rule) bool { return match(r.Comment) })
		if err := table.Delete(dead, unused(dead, left)...); err != nil {
			return err
		}
	}
	return nil
}

// unused are the chains that the dead rules led to and none of those that are left.
func unused(dead, left []firewall.Rule) []string {
	var chains []string
	for _, d := range dead {
		used := slices.ContainsFunc(left, func(r firewall.Rule) bool { return r.Jump == d.Jump })
		if !used && !slices.Contains(chains, d.Jump) {
			chains = append(chains, d.Jump)
		}
	}
	return chains
}
