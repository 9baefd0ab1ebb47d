package filter

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// document is what nft prints with -j list ruleset, as far as it is looked at.
type document struct {
	Nftables []struct {
		Chain *struct {
			Family, Table, Name, Type, Hook, Policy string
			Prio                                    any
		}
		Rule *struct {
			Family, Table, Chain string
			Handle               int
			Expr                 []map[string]json.RawMessage
		}
	}
}

// ParseNFT reads what nft prints with -j list ruleset, apart from the tables that iptables-nft keeps, for one family: ip or ip6.
func ParseNFT(text []byte, family string) (*Rules, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("nft -j list ruleset: %w", err)
	}
	r := newRules()
	for _, o := range d.Nftables {
		if c := o.Chain; c != nil && (c.Family == family && !slices.Contains(iptablesTables(), c.Table) || c.Family == "inet") {
			priority, _ := c.Prio.(float64)
			made := &chain{nft: true, table: c.Family + " " + c.Table, name: c.Name, hook: c.Hook, priority: int(priority), drops: c.Policy == "drop"}
			made.remedy = fmt.Sprintf("nft chain %s %s %s '{ policy accept; }'", c.Family, c.Table, c.Name)
			r.chains[made.table+" "+made.name] = made
			if c.Hook != "" {
				r.base = append(r.base, made)
			}
		}
	}
	for _, o := range d.Nftables {
		if u := o.Rule; u != nil {
			if c := r.chains[u.Family+" "+u.Table+" "+u.Chain]; c != nil {
				parsed := nftRule(u.Expr)
				parsed.remedy = fmt.Sprintf("nft delete rule %s %s %s handle %d", u.Family, u.Table, u.Chain, u.Handle)
				c.rules = append(c.rules, parsed)
			}
		}
	}
	slices.SortStableFunc(r.base, func(a, b *chain) int { return a.priority - b.priority })
	return r, nil
}

// nftRule reads one rule's expressions.
func nftRule(exprs []map[string]json.RawMessage) rule {
	var out rule
	var matches []func(Packet) answer
	var words []string
	service := false
	for _, e := range exprs {
		for name, body := range e {
			switch name {
			case "match":
				m, text, port := nftMatch(body)
				matches, words, service = append(matches, m), append(words, text), service || port
			case "accept", "drop", "return":
				out.verdict = name
			case "reject":
				out.verdict = "drop"
			case "jump", "goto":
				var to struct{ Target string }
				_ = json.Unmarshal(body, &to) // a target that is not there is no chain
				out.verdict, out.target = name, to.Target
			case "masquerade", "snat", "dnat", "redirect":
				out.verdict, out.target = "nat", strings.ToUpper(name)
			case "counter", "log", "mangle", "limit", "notrack":
				continue
			default:
				matches = append(matches, func(Packet) answer { return maybe })
			}
			if name != "match" {
				words = append(words, name)
			}
		}
	}
	out.text, out.matches, out.fits = strings.Join(words, " "), len(matches), every(matches, service)
	return out
}

// nftMatch reads a comparison; port: it is about a service.
func nftMatch(body json.RawMessage) (m func(Packet) answer, text string, port bool) {
	var c struct {
		Op          string
		Left, Right any
	}
	unknown := func(Packet) answer { return maybe }
	if json.Unmarshal(body, &c) != nil {
		return unknown, "?", false
	}
	left, protocol := nftLeft(c.Left)
	values, plain := nftValues(c.Right)
	text = strings.TrimSpace(left + " " + strings.Join(values, ","))
	option, known := map[string]string{
		"iifname": "-i", "oifname": "-o", "saddr": "-s", "daddr": "-d", "dport": "--dport", "ct state": "--ctstate", "l4proto": "-p",
	}[left]
	if !known || !plain || c.Op != "==" && c.Op != "!=" && c.Op != "in" {
		return unknown, text, left == "dport" || left == "sport"
	}
	match := func(p Packet, v string) answer {
		if option == "--ctstate" {
			v = strings.ToUpper(v)
		}
		return matchOf(option, v)(p)
	}
	either := func(p Packet) answer {
		best := no
		for _, v := range values {
			best = max(best, match(p, v))
		}
		return best
	}
	compared := negate(either, c.Op == "!=")
	return func(p Packet) answer { return p.carries(protocol).and(compared(p)) }, text, left == "dport"
}

// carries says whether the packet has a header of a protocol: a comparison with a field of one is silently about that too.
func (p Packet) carries(protocol string) answer {
	switch protocol {
	case "", "th", "ether":
		return yes
	case "ip", "ip6":
		return is(p.six() == (protocol == "ip6"))
	}
	return sameProtocol(protocol, p.Protocol)
}

// nftLeft is what is compared, and the protocol whose field it is; "": no header's.
func nftLeft(v any) (name, protocol string) {
	o, _ := v.(map[string]any)
	for kind, inner := range o {
		i, _ := inner.(map[string]any)
		switch kind {
		case "meta":
			return fmt.Sprint(i["key"]), ""
		case "ct":
			return "ct " + fmt.Sprint(i["key"]), ""
		case "payload":
			protocol, _ = i["protocol"].(string)
			return fmt.Sprint(i["field"]), protocol
		}
	}
	return "?", ""
}

// nftValues are the alternatives that a comparison is with; false: some of them are beyond this reader.
func nftValues(v any) ([]string, bool) {
	switch v := v.(type) {
	case string:
		if strings.HasPrefix(v, "@") { // a set by name
			return nil, false
		}
		return []string{strings.Replace(v, "*", "+", 1)}, true
	case float64:
		return []string{fmt.Sprint(int(v))}, true
	case []any:
		return nftAll(v)
	case map[string]any:
		if set, ok := v["set"].([]any); ok {
			return nftAll(set)
		}
		if p, ok := v["prefix"].(map[string]any); ok {
			if a, err := netip.ParseAddr(fmt.Sprint(p["addr"])); err == nil {
				return []string{fmt.Sprintf("%s/%v", a, p["len"])}, true
			}
		}
		if r, ok := v["range"].([]any); ok && len(r) == 2 {
			return []string{fmt.Sprintf("%v:%v", r[0], r[1])}, true
		}
	}
	return nil, false
}

func nftAll(list []any) (all []string, plain bool) {
	plain = true
	for _, v := range list {
		values, ok := nftValues(v)
		all, plain = append(all, values...), plain && ok
	}
	return all, plain
}
