package portmap

import (
	"fmt"
	"slices"
	"strings"

	"github.com/podnet/podnet/state/netfilter"
)

// chains returns the names of the chains that mark what to masquerade and that masquerade it. The
// default mark has the reference plugin's chains. Another mark has chains of its own, or one
// network's mark would be put on the packets of all.
func (s settings) chains() (mark, masq string) {
	suffix := ""
	if s.markBit != defaultMarkBit {
		suffix = fmt.Sprintf("-%d", s.markBit)
	}
	if s.markChain != "" {
		return s.markChain, ""
	}
	return markChainName + suffix, masqChainName + suffix
}

// shared returns the lines for what all pods have in common and is not there yet.
func (t *iptables) shared(ipv6 bool, a *attachment, masquerade bool) ([]string, error) {
	parts := []part{{
		chain: topChain, hooks: []string{"PREROUTING", "OUTPUT"},
		jump: "-A %s -m addrtype --dst-type LOCAL -j " + topChain,
	}}
	if mark, masq := a.chains(); masquerade && masq != "" {
		bit := fmt.Sprintf("%#x/%#[1]x", uint32(1)<<a.markBit)
		parts = append(parts,
			part{chain: mark, rule: `-m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark ` + bit},
			// It goes first: rules that masquerade, or accept, what comes out of the pods' network
			// would have the last word.
			part{chain: masq, rule: "-m mark --mark " + bit + " -j MASQUERADE", hooks: []string{"POSTROUTING"},
				jump: `-I %s 1 -m comment --comment "CNI portfwd requiring masquerade" -j ` + masq})
	}
	var lines []string
	for _, p := range parts {
		missing, err := p.missing(t.nat[ipv6])
		if err != nil {
			return nil, err
		}
		lines = append(lines, missing...)
	}
	return lines, nil
}

// part is a shared chain, the one rule in it if pods add none, and the base chains that lead to it.
type part struct {
	chain, rule string
	hooks       []string
	jump        string // the jump, with a place for the base chain's name
}

func (p part) missing(nat *netfilter.IPTables) ([]string, error) {
	var lines []string
	rules, err := currentRules(nat, p.chain)
	if err != nil {
		return nil, err
	}
	if len(rules) == 0 { // the line empties the chain, so it must be
		lines = append(lines, ":"+p.chain+" - [0:0]")
		if p.rule != "" {
			lines = append(lines, "-A "+p.chain+" "+p.rule)
		}
	}
	for _, hook := range p.hooks {
		rules, err := currentRules(nat, hook)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(rules, func(r netfilter.Rule) bool { return r.Jump == p.chain }) {
			lines = append(lines, fmt.Sprintf(p.jump, hook))
		}
	}
	return lines, nil
}

func currentRules(nat *netfilter.IPTables, chain string) ([]netfilter.Rule, error) {
	rules, err := nat.Rules(chain)
	if err != nil {
		return nil, err
	}
	return nat.Current(rules)
}

// deleteWithShared deletes rules and chains of pods and, with the last ones, what they shared.
// Where somebody else's rule leads to a shared chain all of those stay.
func deleteWithShared(nat *netfilter.IPTables, rules []netfilter.Rule, pods []string, last bool) error {
	if last {
		jumps, shared, err := sharedOf(nat)
		if err != nil {
			return err
		}
		if nat.Delete(slices.Concat(rules, jumps), slices.Concat(pods, shared)...) == nil {
			return nil
		}
	}
	return nat.Delete(rules, pods...)
}

// sharedOf returns the jumps to shared chains, and the rules in those.
func sharedOf(nat *netfilter.IPTables) (jumps []netfilter.Rule, chains []string, err error) {
	chains = []string{topChain, markChainName, masqChainName}
	for _, hook := range []string{"PREROUTING", "OUTPUT", "POSTROUTING"} {
		rules, err := nat.Rules(hook)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range rules {
			suffix, isMasq := strings.CutPrefix(r.Jump, masqChainName)
			if isMasq && suffix != "" {
				chains = append(chains, r.Jump, markChainName+suffix)
			}
			if isMasq || r.Jump == topChain {
				jumps = append(jumps, r)
			}
		}
	}
	return jumps, chains, nil
}

// quoted puts words into a line as iptables-restore reads them, each behind a space.
func quoted(words []string) string {
	var b strings.Builder
	for _, w := range words {
		b.WriteString(" " + netfilter.Quote(w))
	}
	return b.String()
}
