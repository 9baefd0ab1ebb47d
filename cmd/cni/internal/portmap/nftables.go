package portmap

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// nftables is the backend that writes the reference plugin's rules, over netlink. nft is executed
// only for conditions, which are in its language. Each rule says, in a tag that nft does not show,
// whose it is besides the container's.
type nftables struct {
	conn *netfilter.Conn
	read map[netlink.Family][]netfilter.Rule // the rules as they were read, until something is written
}

func newNFTables(conn *netfilter.Conn) *nftables {
	return &nftables{conn, map[netlink.Family][]netfilter.Rule{}}
}

func familyOf(ipv6 bool) netlink.Family {
	if ipv6 {
		return netlink.IPv6
	}
	return netlink.IPv4
}

func (n *nftables) rules(f netlink.Family) ([]netfilter.Rule, error) {
	rules, there := n.read[f]
	if there {
		return rules, nil
	}
	rules, err := n.conn.Rules(netfilter.Chain{Family: f, Table: table})
	if err == nil {
		n.read[f] = rules
	}
	return rules, err
}

// commit makes a batch true.
func (n *nftables) commit(b *netfilter.Batch) error {
	clear(n.read)
	return n.conn.Commit(b)
}

// pods returns those of the rules that are pods'.
func pods(rules []netfilter.Rule) []netfilter.Rule {
	return slices.DeleteFunc(slices.Clone(rules), func(r netfilter.Rule) bool {
		return r.Comment == "" || !slices.Contains(podChains, r.Chain)
	})
}

// maxComment is what nft takes.
const maxComment = 127

// commentOf returns the comment of a container's rules. The reference plugin cannot have made
// rules for a container whose name nft does not take.
func commentOf(o owner) string {
	if len(o.container) > maxComment {
		return o.short().container
	}
	return o.container
}

func tagOf(o owner) string { return o.short().network + "/" + o.ifname }

// ownerOfRule returns the owner that a rule names. A rule of the reference plugin names the
// container alone.
func ownerOfRule(r netfilter.Rule) owner {
	network, ifname, _ := strings.Cut(r.Tag, "/")
	return owner{network, r.Comment, ifname}
}

func (n *nftables) holdings(ports map[uint16]bool) ([]holding, error) {
	var held []holding
	for _, ipv6 := range families {
		rules, err := n.rules(familyOf(ipv6))
		if err != nil {
			return nil, err
		}
		for _, r := range pods(rules) {
			if m, ok := mappingOf(r, ipv6); ok && ports[m.host.Port()] {
				held = append(held, holding{ownerOfRule(r), m})
			}
		}
	}
	return held, nil
}

func (n *nftables) add(a *attachment) error {
	script := ""
	var shared, batch netfilter.Batch
	for _, ipv6 := range families {
		f, forwards := familyOf(ipv6), a.family(ipv6)
		if len(forwards) == 0 {
			continue
		}
		rules, err := n.rules(f)
		if err != nil {
			return err
		}
		missing, err := n.lacks(f, rules)
		if err != nil {
			return err
		}
		if missing != "" {
			skeleton(&shared, f)
		}
		conditions := a.conditions[ipv6]
		script += conditional(a, forwards, conditions)
		addRules(&batch, a, forwards, len(conditions) == 0)
	}
	if script == "" {
		shared.Join(&batch)
		return n.commit(&shared)
	}
	if err := n.commit(&shared); err != nil {
		return err
	}
	if err := a.blame(netfilter.Script(script), families...); err != nil {
		return err
	}
	return n.commit(&batch)
}

// addRules adds the rules of one family: last those that lead to the pod, unless conditions are in
// front of these. A connection to the pod is masqueraded only if it came by the mapping.
func addRules(b *netfilter.Batch, a *attachment, forwards []forward, lead bool) {
	comment, tag := commentOf(a.owner), tagOf(a.owner)
	for _, f := range forwards {
		for _, s := range f.sources {
			x := new(netfilter.Expressions).Source(s).Destination(single(f.pod.Addr()))
			x.Protocol(netfilter.Protocols[f.protocol]).Original(f.mapping.host.Port())
			b.AddRule(netfilter.Chain{Family: familyOf(f.ipv6()), Table: table, Name: snatChain},
				x.Masquerade(), comment, tag)
		}
	}
	if !lead {
		return
	}
	for _, f := range forwards {
		x := new(netfilter.Expressions)
		switch {
		case !f.wild():
			x.Destination(single(f.mapping.host.Addr()))
		case f.ipv6(): // which no pod can answer
			x.NotDestination(single(netip.IPv6Loopback()))
		}
		x.Protocol(netfilter.Protocols[f.protocol]).Port(f.mapping.host.Port())
		x.DNAT(familyOf(f.ipv6()), f.pod)
		chain := netfilter.Chain{Family: familyOf(f.ipv6()), Table: table, Name: portsChain}
		b.AddRule(chain, x, comment, tag)
	}
}

func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// conditional returns the lines of rules that lead to the pod under conditions; "" if there are
// none. They have no tag, as nft cannot write one.
func conditional(a *attachment, forwards []forward, conditions []string) string {
	var b strings.Builder
	for _, f := range forwards {
		if len(conditions) == 0 {
			break
		}
		ip, to := nftFamily(familyOf(f.ipv6())), ""
		switch {
		case !f.wild():
			to = fmt.Sprintf(" %s daddr %s", ip, f.mapping.host.Addr())
		case f.ipv6():
			to = " ip6 daddr != ::1"
		}
		fmt.Fprintf(&b, "add rule %s %s %s %s%s %s dport %d dnat to %s comment %q\n",
			ip, table, portsChain, strings.Join(conditions, " "), to,
			f.protocol, f.mapping.host.Port(), f.pod, commentOf(a.owner))
	}
	return b.String()
}

func (n *nftables) check(a *attachment) (string, error) {
	for _, ipv6 := range families {
		forwards := a.family(ipv6)
		if len(forwards) == 0 {
			continue
		}
		f := familyOf(ipv6)
		rules, err := n.rules(f)
		if err != nil {
			return "", err
		}
		if missing, err := n.lacks(f, rules); err != nil || missing != "" {
			return missing, err
		}
		mine := slices.DeleteFunc(pods(rules), func(r netfilter.Rule) bool {
			return !a.owner.names(ownerOfRule(r))
		})
		if missing := lacksOf(mine, forwards, ipv6); missing != "" {
			return missing, nil
		}
	}
	return "", nil
}

// lacksOf names what forwards need and an attachment's rules do not have, if anything. The
// reference plugin masquerades by the pod's address alone.
func lacksOf(mine []netfilter.Rule, forwards []forward, ipv6 bool) string {
	leads := map[mapping]int{}
	masqueraded := map[netip.AddrPort]int{}
	theirs := false
	for _, r := range mine {
		if m, ok := mappingOf(r, ipv6); ok {
			leads[m]++
		} else if r.Chain == snatChain {
			masqueraded[netip.AddrPortFrom(r.Destination.Addr(), r.Original)]++
			theirs = theirs || r.Tag == ""
		}
	}
	for _, f := range forwards {
		if leads[f.mapping] == 0 {
			return fmt.Sprintf("the rule for %s/%s of chain %s",
				f.mapping.host, f.protocol, portsChain)
		}
		delete(leads, f.mapping)
		asked := netip.AddrPortFrom(f.pod.Addr(), f.mapping.host.Port())
		if theirs {
			asked = netip.AddrPortFrom(f.pod.Addr(), 0)
		}
		if masqueraded[asked] < len(f.sources) {
			return fmt.Sprintf("a rule for %s/%s of chain %s",
				f.mapping.host, f.protocol, snatChain)
		}
	}
	if len(leads) > 0 {
		return "the number of rules of chain " + portsChain
	}
	return ""
}

// removal deletes rules, and the table of a family with the last one, whatever else is left in it:
// an ADD may have been killed, or rules flushed.
func (n *nftables) removal(w whose) (*removal, error) {
	r := &removal{}
	var batch netfilter.Batch // of both families, as each takes the kernel's time
	for _, ipv6 := range families {
		f := familyOf(ipv6)
		rules, err := n.rules(f)
		if err != nil {
			return nil, err
		}
		all := pods(rules)
		dead := deadOf(all, w, ipv6)
		for _, d := range dead {
			if m, ok := mappingOf(d, ipv6); ok {
				r.gone = append(r.gone, m)
			}
		}
		if err := n.delete(&batch, f, dead, len(dead) == len(all)); err != nil {
			return nil, err
		}
	}
	if err := n.former(&batch, w); err != nil {
		return nil, err
	}
	if !batch.Empty() {
		r.parts = append(r.parts, func() error { return n.commit(&batch) })
	}
	return r, nil
}

// delete adds rules of a family to those that a batch deletes; if they are the last ones, the
// table.
func (n *nftables) delete(b *netfilter.Batch, f netlink.Family, rules []netfilter.Rule, last bool) error {
	if !last {
		for _, r := range rules {
			b.DeleteRule(f, table, r)
		}
		return nil
	}
	there, err := n.conn.HasTable(f, table)
	if there {
		b.DeleteTable(f, table)
	}
	return err
}

// deadOf returns the rules that are to be removed.
func deadOf(all []netfilter.Rule, w whose, ipv6 bool) []netfilter.Rule {
	if w.match == nil {
		return slices.DeleteFunc(slices.Clone(all), func(r netfilter.Rule) bool {
			return !w.owner.names(ownerOfRule(r))
		})
	}
	led := map[owner][]mapping{} // an owner that has lost its mappings is one too
	for _, r := range all {
		o := ownerOfRule(r)
		led[o] = slices.Grow(led[o], 0)
		if m, ok := mappingOf(r, ipv6); ok {
			led[o] = append(led[o], m)
		}
	}
	match := map[owner]bool{}
	for o, maps := range led {
		match[o] = w.match(o, maps)
	}
	return slices.DeleteFunc(slices.Clone(all), func(r netfilter.Rule) bool {
		return !match[ownerOfRule(r)]
	})
}
