package firewall

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/podnet/podnet/state"
)

// hooks are the built-in chains that podnet's chains hang on, by table.
func hooks() map[string]string { return map[string]string{"nat": "POSTROUTING", "filter": "FORWARD"} }

// parseChains reads podnet's chains and the jumps to them out of what iptables-save prints.
func parseChains(family uint8, save string) []state.Chain {
	p := chainParser{family: family, chains: map[string]*state.Chain{}}
	for line := range strings.Lines(save) {
		p.line(strings.TrimSuffix(line, "\n"))
	}
	var out []state.Chain
	for _, name := range p.order {
		out = append(out, *p.chains[name])
	}
	return out
}

type chainParser struct {
	family uint8
	table  string
	chains map[string]*state.Chain // of all tables: podnet's names differ
	order  []string
}

func (p *chainParser) line(line string) {
	hook := hooks()[p.table]
	switch {
	case strings.HasPrefix(line, "*"):
		p.table = line[1:]
	case hook != "" && strings.HasPrefix(line, ":"+state.ChainPrefix):
		name, _, _ := strings.Cut(line[1:], " ")
		p.chains[name] = &state.Chain{Family: p.family, Table: p.table, Chain: name, Hook: hook}
		p.order = append(p.order, name)
	case strings.HasPrefix(line, "-A "):
		chain, rule, _ := strings.Cut(line[3:], " ")
		if c := p.chains[chain]; c != nil && c.Table == p.table {
			c.Rules = joinLines(c.Rules, rule)
			return
		}
		switch c := p.target(rule); {
		case c == nil:
		case chain == hook && rule == "-j "+c.Chain:
			c.Jumps++
		default:
			c.Others = joinLines(c.Others, chain+" "+rule)
		}
	}
}

func joinLines(lines, line string) string { return strings.TrimPrefix(lines+"\n"+line, "\n") }

// target is podnet's chain that a rule of the current table jumps or goes to, if it does.
func (p *chainParser) target(rule string) *state.Chain {
	rule = " " + comment.ReplaceAllString(rule, "")
	_, name, jumps := strings.Cut(rule, " -j ")
	if !jumps {
		_, name, _ = strings.Cut(rule, " -g ")
	}
	name, _, _ = strings.Cut(name, " ")
	if c := p.chains[name]; c != nil && c.Table == p.table {
		return c
	}
	return nil
}

// comment is a match that matches everything.
var comment = regexp.MustCompile(`-m comment --comment ("(\\.|[^"\\])*"|\S+) `)

// restoreInput is what iptables-restore --noflush has to be told to carry out the changes: one
// transaction a table, which touches no chain but podnet's.
func restoreInput(changes []*state.Change) string {
	var b strings.Builder
	for _, table := range []string{"nat", "filter"} {
		var chains, rules strings.Builder
		for _, c := range changes {
			if c.Object().(state.Chain).Table == table {
				restoreChain(c, &chains, &rules)
			}
		}
		if chains.Len()+rules.Len() > 0 {
			fmt.Fprintf(&b, "*%s\n%s%sCOMMIT\n", table, &chains, &rules)
		}
	}
	return b.String()
}

func restoreChain(c *state.Change, chains, rules *strings.Builder) {
	name := c.Object().Name()
	have, _ := c.Have.(state.Chain)
	want, _ := c.Want.(state.Chain)
	if c.Op != state.Delete && (c.Op == state.Create || have.Rules != want.Rules) {
		fmt.Fprintf(chains, ":%s - [0:0]\n", name) // made, or emptied
		for rule := range strings.Lines(want.Rules) {
			fmt.Fprintf(rules, "-A %s %s\n", name, strings.TrimSuffix(rule, "\n"))
		}
	}
	if have.Others != "" {
		for jump := range strings.Lines(have.Others) {
			fmt.Fprintf(rules, "-D %s\n", strings.TrimSuffix(jump, "\n"))
		}
	}
	if have.Jumps > want.Jumps { // -D takes the first, and a rule of others may be behind it
		rules.WriteString(strings.Repeat(fmt.Sprintf("-D %s -j %s\n", have.Hook, name), have.Jumps))
		have.Jumps = 0
	}
	if want.Jumps > have.Jumps {
		fmt.Fprintf(rules, "-I %s 1 -j %s\n", want.Hook, name)
	}
	if c.Op == state.Delete {
		fmt.Fprintf(rules, "-F %s\n-X %s\n", name, name)
	}
}
