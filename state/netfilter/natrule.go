package netfilter

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// Targets of a NATRule that are no chains.
const (
	Accept     = "ACCEPT"
	Masquerade = "MASQUERADE"
)

// NATRule is a rule of iptables that tells packets by their addresses.
type NATRule struct {
	Chain       string
	Source      netip.Prefix // the zero value: any
	Destination netip.Prefix
	Except      netip.Prefix // destinations that are not meant
	Comment     string
	Target      string
}

// Append makes chains, or empties those that are there, and adds rules to the table, all of it or
// none of it. Where iptables keeps its rules in nftables it executes nothing, and writes what
// iptables would; other than for the first rule of the table, as iptables makes the base chains.
func (t *IPTables) Append(chains []string, rules []NATRule) error {
	legacy, err := t.legacy()
	if err != nil {
		return err
	}
	if !legacy {
		if legacy, err = t.lacksBase(chains, rules); err != nil {
			return err
		}
	}
	if legacy {
		return t.Restore(lines(chains, rules)...)
	}
	var b Batch
	for _, name := range chains {
		b.AddChain(Chain{t.family, t.table, name})
	}
	for _, r := range rules {
		b.addRule(Chain{t.family, t.table, r.Chain}, r.expressions(t.family), nil, r.Comment)
	}
	return t.conn.Commit(&b)
}

// lacksBase reports whether a base chain is missing that a rule is for.
func (t *IPTables) lacksBase(chains []string, rules []NATRule) (bool, error) {
	for _, r := range rules {
		if slices.Contains(chains, r.Chain) {
			continue
		}
		if there, err := t.conn.HasChain(Chain{t.family, t.table, r.Chain}); err != nil || !there {
			return !there, err
		}
	}
	return false, nil
}

// lines are what iptables-restore reads.
func lines(chains []string, rules []NATRule) []string {
	var all []string
	for _, name := range chains {
		all = append(all, ":"+name+" - [0:0]")
	}
	for _, r := range rules {
		line := "-A " + r.Chain
		for _, o := range []struct {
			option string
			prefix netip.Prefix
		}{{"-s", r.Source}, {"-d", r.Destination}, {"! -d", r.Except}} {
			if o.prefix.IsValid() {
				line += " " + o.option + " " + o.prefix.String()
			}
		}
		all = append(all, line+" -m comment --comment "+Quote(r.Comment)+" -j "+r.Target)
	}
	return all
}

// Quote puts a word into a line as iptables-restore reads it.
func Quote(word string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(word) + `"`
}

// expressions are those that iptables makes of the rule.
func (r NATRule) expressions(f netlink.Family) *Expressions {
	x := new(Expressions)
	if r.Source.IsValid() {
		x.Source(r.Source)
	}
	if r.Destination.IsValid() {
		x.Destination(r.Destination)
	}
	if r.Except.IsValid() {
		x.NotDestination(r.Except)
	}
	x.extension("match", "comment",
		append([]byte(r.Comment), make([]byte, max(0, commentSize-len(r.Comment)))...)[:commentSize])
	x.add("counter", numbers())
	switch r.Target {
	case Accept:
		return x.Accept()
	case Masquerade:
		return x.extension("target", Masquerade, natRange(f))
	}
	return x.JumpTo(r.Target)
}

// commentSize is the size of a comment of iptables, its terminating zero included.
const commentSize = 256

// natRange is an empty range, as the kernel's target takes it: of IPv4 one of a list, of IPv6 with
// room for two addresses.
func natRange(f netlink.Family) []byte {
	if f == netlink.IPv6 {
		return make([]byte, 40)
	}
	return append(binary.NativeEndian.AppendUint32(nil, 1), make([]byte, 20)...)
}

// extension is a match or a target of iptables.
func (x *Expressions) extension(kind, name string, info []byte) *Expressions {
	return x.add(kind, func(m *netlink.Message) { // targets have the same numbers
		m.String(unix.NFTA_MATCH_NAME, name).NetUint32(unix.NFTA_MATCH_REV, 0).Bytes(unix.NFTA_MATCH_INFO, info)
	})
}

// addRule adds a rule at the end of a chain.
func (b *Batch) addRule(c Chain, x *Expressions, user []byte, what string) {
	expressions := list(x.list)
	b.add(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, c.Family, func(m *netlink.Message) {
		c.ofRule(m)
		m.Nest(unix.NFTA_RULE_EXPRESSIONS, expressions)
		if len(user) > 0 {
			m.Bytes(unix.NFTA_RULE_USERDATA, user)
		}
	}, "add a rule of %s to chain %s", what, c.Name)
}
