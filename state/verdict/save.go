package verdict

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Save is the filter table of what iptables-save prints.
type Save struct {
	Policies map[string]string // of the built-in chains
	chains   map[string][]string
}

// ParseSave keeps the filter table's rules as they are.
func ParseSave(save string) Save {
	s := Save{Policies: map[string]string{}, chains: map[string][]string{}}
	table := ""
	for line := range strings.Lines(save) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "*"):
			table = line[1:]
		case table != "filter":
		case strings.HasPrefix(line, ":"):
			if name, rest, _ := strings.Cut(line[1:], " "); !strings.HasPrefix(rest, "-") {
				s.Policies[name], _, _ = strings.Cut(rest, " ")
			}
		case strings.HasPrefix(line, "-A "):
			chain, rule, _ := strings.Cut(line[3:], " ")
			s.chains[chain] = append(s.chains[chain], rule)
		}
	}
	return s
}

// Judge is what a built-in chain may do to a packet, and the rule that ends its way, as "N REST"; "": its policy does.
func (s Save) Judge(base string, p Packet) (Outcome, string) {
	policy := Accept
	if s.Policies[base] == "DROP" {
		policy = Drop
	}
	chains := func(name string) []rule {
		var out []rule
		for i, text := range s.chains[name] {
			r := s.rule(text, p)
			if r.text = ""; name == base {
				r.text = fmt.Sprintf("%d %s", i+1, text)
			}
			out = append(out, r)
		}
		return out
	}
	return judge(chains, base, policy)
}

// rule reads one, behind "-A CHAIN ".
func (s Save) rule(text string, p Packet) rule {
	words := fields(text)
	r := rule{holds: Yes}
	negated := false
	for i, option := range words {
		value := ""
		if i+1 < len(words) && !strings.HasPrefix(words[i+1], "-") {
			value = words[i+1]
		}
		switch {
		case option == "!":
			negated = true
		case option == "-j", option == "-g":
			r.does, r.gone = target(value), option == "-g"
			if _, is := s.chains[value]; is {
				r.chain = value
			}
			return r
		case strings.HasPrefix(option, "-"):
			holds := p.option(option, value)
			if negated {
				holds = holds.not()
			}
			r.holds, negated = r.holds.and(holds), false
		}
	}
	return rule{} // it only counts
}

// fields cuts a rule at its blanks, quoted texts left whole.
func fields(text string) []string {
	var out []string
	quoted := false
	for _, word := range strings.Fields(text) {
		if quoted {
			out[len(out)-1] += " " + word
		} else {
			out = append(out, word)
		}
		if (strings.Count(word, `"`)-strings.Count(word, `\"`))%2 != 0 {
			quoted = !quoted
		}
	}
	return out
}

// target is what a target that is no chain does.
func target(name string) Outcome {
	switch name {
	case "ACCEPT":
		return Accept
	case "DROP", "REJECT":
		return Drop
	case "RETURN":
		return pass
	case "QUEUE", "NFQUEUE":
		return Accept | Drop
	}
	return 0 // it marks, logs, counts; or it is a chain without rules
}

// option says whether one match holds.
func (p Packet) option(option, value string) Truth {
	prefix, err := netip.ParsePrefix(value)
	switch {
	case option == "-m", option == "--comment": // a module's options say what it matches
		return Yes
	case option == "-i":
		return linkNamed(value, p.In)
	case option == "-o":
		return linkNamed(value, p.Out)
	case option == "-s" && err == nil:
		return p.from(prefix)
	case option == "-p" && p.UDP:
		return truth(value == "udp" || value == "all")
	case option == "--dport" && p.Port != 0, option == "--dports" && p.Port != 0:
		return truth(inPorts(value, p.Port))
	case option == "--ctstate", option == "--state":
		return truth(strings.Contains(value, "NEW"))
	case option == "--src-type" && value == "LOCAL":
		return No
	}
	return Maybe
}

// linkNamed compares with a name or, before a +, the beginning of one. An unknown link is none of the host's own.
func linkNamed(pattern, link string) Truth {
	stem, open := strings.CutSuffix(pattern, "+")
	switch {
	case link == "" && pattern == "lo":
		return No
	case link == "":
		return Maybe
	case open:
		return truth(strings.HasPrefix(link, stem))
	}
	return truth(pattern == link)
}

// inPorts says whether a list of ports and of ranges LOW:HIGH holds one.
func inPorts(list string, port uint16) bool {
	for _, one := range strings.Split(list, ",") {
		low, high, several := strings.Cut(one, ":")
		if !several {
			high = low
		}
		a, err := strconv.Atoi(low)
		b, bad := strconv.Atoi(high)
		if err == nil && bad == nil && a <= int(port) && int(port) <= b {
			return true
		}
	}
	return false
}
