package firewall

import "strings"

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
		r := Rule{spec: spec}
		words := splitWords(spec)
		for i, word := range words {
			switch {
			case i == 0:
				r.Chain = word
			case words[i-1] == "--comment":
				r.Comment = word
			case words[i-1] == "-j", words[i-1] == "-g":
				r.Jump = word
			}
		}
		t.rules = append(t.rules, r)
	}
	return t
}

// splitWords splits a line as iptables-restore does: words may be in double quotes, in which a backslash quotes.
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
