package verdict

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// unknown is a match that this package cannot judge.
func unknown(Packet) answer { return maybe }

// nftMatch reads a comparison; port: it is about a service.
func nftMatch(body json.RawMessage) (m func(Packet) answer, text string, port bool) {
	var c struct {
		Op          string
		Left, Right any
	}
	if json.Unmarshal(body, &c) != nil {
		return unknown, "?", false
	}
	values, plain := nftValues(c.Right)
	m, text, port = nftCompare(c.Left, c.Op, values, plain)
	if set, named := c.Right.(string); named && !plain {
		text += " " + set
	}
	return m, text, port
}

// nftMap reads a map of verdicts: one of its keys may fit, or none does.
func nftMap(body json.RawMessage) (m func(Packet) answer, text string, port bool) {
	var c struct {
		Key  any
		Data struct{ Set [][]any }
	}
	var keys []any
	if json.Unmarshal(body, &c) == nil { // else it is a map by name
		for _, element := range c.Data.Set {
			keys = append(keys, element[:min(1, len(element))]...)
		}
	}
	values, plain := nftAll(keys)
	one, text, port := nftCompare(c.Key, "in", values, plain && len(keys) > 0)
	return func(p Packet) answer { return min(one(p), maybe) }, text, port
}

// nftCompare is a comparison of what nftLeft reads with some values; plain: these are all.
func nftCompare(with any, op string, values []string, plain bool) (m func(Packet) answer, text string, port bool) {
	left, protocol := nftLeft(with)
	text = strings.TrimSpace(left + " " + strings.Join(values, ","))
	option, known := map[string]string{
		"iifname": "-i", "oifname": "-o", "saddr": "-s", "daddr": "-d", "dport": "--dport", "ct state": "--ctstate",
		"l4proto": "-p",
	}[left]
	if left == "nfproto" && plain && len(values) == 1 && (op == "==" || op == "!=") {
		six := values[0] == "ipv6"
		return negate(func(p Packet) answer { return is(p.six() == six) }, op == "!="), text, false
	}
	if !known || !plain || op != "==" && op != "!=" && op != "in" {
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
	compared := negate(either, op == "!=")
	return func(p Packet) answer { return p.carries(protocol).and(compared(p)) }, text, left == "dport"
}

// carries says whether the packet has a header of a protocol: a comparison with a field of one is
// silently about that too.
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

// nftValues are the alternatives that a comparison is with; false: some of them are beyond this
// reader.
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
