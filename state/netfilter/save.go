package netfilter

import (
	"net/netip"
	"strconv"
	"strings"
)

// saved is a table of the older filter.
type saved struct {
	chains []string
	rules  []Rule
}

// parseSave reads what iptables-save prints of one table.
func parseSave(out string) (t saved) {
	for line := range strings.Lines(out) {
		if chain, ok := strings.CutPrefix(line, ":"); ok {
			name, _, _ := strings.Cut(chain, " ")
			t.chains = append(t.chains, name)
		}
		spec, ok := strings.CutPrefix(strings.TrimSpace(line), "-A ")
		if !ok {
			continue
		}
		t.rules = append(t.rules, parseSpec(spec))
	}
	return t
}

// parseSpec reads a rule as iptables-save prints it behind -A.
func parseSpec(spec string) Rule {
	r := Rule{spec: spec}
	words := splitWords(spec)
	for i, word := range words {
		option := ""
		if i > 0 {
			option = words[i-1]
		}
		if i > 1 && words[i-2] == "!" {
			continue
		}
		switch option {
		case "":
			r.Chain = word
		case "--comment":
			r.Comment = word
		case "-j", "-g":
			r.Jump = word
		case "-p":
			r.Protocol = Protocols[word]
		case "-s":
			r.Source, _ = netip.ParsePrefix(word)
		case "-d":
			r.Destination, _ = netip.ParsePrefix(word)
		case "--dport":
			r.Port = number(word)
		case "--dports":
			for port := range strings.SplitSeq(word, ",") {
				r.Ports = append(r.Ports, number(port))
			}
		case "--to-destination":
			r.To, _ = netip.ParseAddrPort(word)
		}
	}
	return r
}

// Protocols are the transport protocols that have ports, by the names that configurations and rules
// use.
var Protocols = map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132}

// number is 0 for what is none, a range of ports for example.
func number(word string) uint16 {
	n, _ := strconv.ParseUint(word, 10, 16)
	return uint16(n)
}

// splitWords splits a line as iptables-restore does: words may be in double quotes, in which a
// backslash quotes.
func splitWords(line string) []string {
	var words []string
	var word strings.Builder
	started, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			quoted, started = !quoted, true
		case c == '\\' && quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == ' ' && !quoted:
			if started {
				words = append(words, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteByte(c)
			started = true
		}
	}
	if started {
		words = append(words, word.String())
	}
	return words
}
