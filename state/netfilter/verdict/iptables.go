package verdict

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/podnet/podnet/state/shell"
)

// iptablesTables are in the order in which a hook has them.
func iptablesTables() []string { return []string{"raw", "mangle", "nat", "filter", "security"} }

// Parse reads what iptables-save prints. command is the program to name in remedies: iptables or
// ip6tables.
func Parse(save, command string) *Rules {
	r := newRules()
	table := ""
	for line := range strings.Lines(save) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case strings.HasPrefix(line, ":"):
			r.header(table, line[1:], command)
		case strings.HasPrefix(line, "-A "):
			name, text, _ := strings.Cut(line[3:], " ")
			if c := r.chains[table+" "+name]; c != nil {
				parsed := parseRule(text)
				parsed.remedy = shell.Join(append([]string{command, "-t", table, "-D", name}, split(text)...)...)
				c.rules = append(c.rules, parsed)
			}
		}
	}
	slices.SortStableFunc(r.base, func(a, b *chain) int {
		return slices.Index(iptablesTables(), a.table) - slices.Index(iptablesTables(), b.table)
	})
	return r
}

func (r *Rules) header(table, line, command string) {
	name, rest, _ := strings.Cut(line, " ")
	policy, _, _ := strings.Cut(rest, " ")
	c := &chain{command: command, table: table, name: name, drops: policy == "DROP",
		remedy: shell.Join(command, "-t", table, "-P", name, "ACCEPT")}
	r.chains[table+" "+name] = c
	if policy != "-" {
		c.hook = strings.ToLower(name)
		r.base = append(r.base, c)
	}
}

// parseRule reads one rule behind its "-A CHAIN ".
func parseRule(text string) rule {
	out := rule{text: text}
	var matches []func(Packet) answer
	negated, protocol, ports := false, false, false
	words := split(text)
	for i := 0; i < len(words); i++ {
		w := words[i]
		if w == "!" {
			negated = true
			continue
		}
		if w == "-j" || w == "-g" {
			if i+1 < len(words) {
				out.verdict, out.target = verdictOf(words[i+1], w == "-g")
			}
			if at := slices.Index(words, "--to-destination"); at > i && at+1 < len(words) {
				out.to = words[at+1]
			}
			break
		}
		if w == "--comment" {
			i++
			continue
		}
		if w == "-m" {
			if i++; i < len(words) && !slices.Contains(plainMatches(), words[i]) {
				matches = append(matches, unknown)
			}
			continue
		}
		if !strings.HasPrefix(w, "-") {
			continue // a value of something unknown
		}
		value := ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		protocol, ports = protocol || w == "-p", ports || strings.Contains(w, "port")
		matches = append(matches, negate(matchOf(w, value), negated))
		negated = false
	}
	out.matches, out.fits = len(matches), every(matches, protocol && ports)
	return out
}

// plainMatches are the extensions that match nothing by themselves, but by the options behind them;
// "-m socket" is one that does.
func plainMatches() []string {
	return []string{"comment", "tcp", "udp", "multiport", "conntrack", "state", "addrtype"}
}

// every holds if all matches do. service: they are about one service, and so not about packets in
// general.
func every(matches []func(Packet) answer, service bool) func(Packet) answer {
	return func(p Packet) answer {
		if service && p.Protocol == "" {
			return no
		}
		all := yes
		for _, m := range matches {
			all = all.and(m(p))
		}
		return all
	}
}

func negate(m func(Packet) answer, is bool) func(Packet) answer {
	if !is {
		return m
	}
	return func(p Packet) answer { return m(p).not() }
}

func verdictOf(target string, hop bool) (verdict, name string) {
	switch target {
	case "ACCEPT":
		return "accept", ""
	case "DROP", "REJECT":
		return "drop", ""
	case "QUEUE", "NFQUEUE":
		return "either", ""
	case "RETURN":
		return "return", ""
	case "MASQUERADE", "SNAT", "DNAT", "REDIRECT", "NETMAP":
		return "nat", target
	}
	if hop {
		return "goto", target
	}
	return "jump", target // to a chain; a target that is none lets the packet go on
}

func matchOf(option, value string) func(Packet) answer {
	switch option {
	case "-s":
		return inPrefix(value, Packet.from)
	case "-d":
		return inPrefix(value, Packet.to)
	case "-i":
		return func(p Packet) answer { return device(value, p.In) }
	case "-o":
		return func(p Packet) answer { return device(value, p.Out) }
	case "-p":
		return func(p Packet) answer { return sameProtocol(value, p.Protocol) }
	case "--dport", "--dports":
		return func(p Packet) answer { return portIn(value, p.Port) }
	case "--ctstate", "--state":
		return func(p Packet) answer { return stateIn(value, p.Established) }
	case "--dst-type":
		if value == "LOCAL" {
			return Packet.toHost
		}
	case "--src-type":
		if value == "LOCAL" {
			return Packet.local
		}
	}
	return unknown
}

func inPrefix(value string, of func(Packet, netip.Prefix) answer) func(Packet) answer {
	prefix, err := prefixOf(value)
	return func(p Packet) answer {
		if err != nil {
			return maybe
		}
		return of(p, prefix)
	}
}

// prefixOf reads an address with or without a mask. A mask with holes is none.
func prefixOf(value string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(value); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(value)
}

func sameProtocol(want, have string) answer {
	if have == "" {
		return maybe
	}
	return is(want == have || want == "all" || want == "ipv6-icmp" && have == "icmp")
}

func portIn(list string, port uint16) answer {
	if port == 0 {
		return maybe
	}
	for _, part := range strings.Split(list, ",") {
		from, to, open := strings.Cut(part, ":")
		if !open {
			to = from
		}
		low, err1 := strconv.Atoi(from)
		high, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil {
			return maybe
		}
		if low <= int(port) && int(port) <= high {
			return yes
		}
	}
	return no
}

func stateIn(list string, established bool) answer {
	states := strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
	want := "NEW"
	if established {
		want = "ESTABLISHED"
	}
	return is(slices.Contains(states, want))
}

// split takes a rule apart at its blanks, but not inside of quotes.
func split(text string) []string {
	var words []string
	var word strings.Builder
	quoted, escaped := false, false
	for _, r := range text {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			words = append(words, word.String())
			word.Reset()
		default:
			word.WriteRune(r)
		}
	}
	return append(words, word.String())
}
