package state

import (
	"fmt"
	"regexp"
	"strings"
)

// Chain is one of podnet's iptables chains: its whole content, and the jump to it from a built-in chain.
type Chain struct {
	Family uint8  // 4 or 6
	Table  string // nat or filter
	Chain  string
	Rules  string // a line each, as iptables-save prints them behind "-A CHAIN "
	Hook   string // the built-in chain that jumps to it
	Jumps  int    // how often; podnet wants one, and where it is does not matter here
	Others string // jumps to it from elsewhere or under conditions, a line each: "CHAIN REST"; podnet wants none
}

// chainPrefix marks podnet's chains, whatever the version that made them.
const chainPrefix = "PODNET-"

func (c Chain) Key() Key     { return Key{Kind: KindChain, Name: c.Chain, Num: uint32(c.Family)} }
func (c Chain) Parent() Key  { return Key{} }
func (c Chain) Name() string { return c.Chain }

// Whole is what there is to say of an object, with nothing summed up: below its Attrs, the rules of a chain, each on a
// line of its own, and the content of a conflist.
func Whole(r Resource) string {
	switch r := r.(type) {
	case Chain:
		return strings.TrimSuffix(r.Attrs()+"\n"+r.Rules, "\n")
	case Conflist:
		return r.Attrs() + "\n" + r.Content
	}
	return r.Attrs()
}

// Attrs sums the chain up; Whole does not.
func (c Chain) Attrs() string {
	rules := 0
	if c.Rules != "" {
		rules = strings.Count(c.Rules, "\n") + 1
	}
	jump := "jump from " + c.Hook
	switch {
	case c.Jumps == 0:
		jump = "no jump from " + c.Hook
	case c.Jumps > 1:
		jump = fmt.Sprintf("%d jumps from %s", c.Jumps, c.Hook)
	}
	if c.Others != "" {
		jump += fmt.Sprintf(", and %d others", strings.Count(c.Others, "\n")+1)
	}
	return fmt.Sprintf("ipv%d %s, %d rules, %s", c.Family, c.Table, rules, jump)
}

// hooks are the built-in chains that podnet's chains hang on, by table.
func hooks() map[string]string { return map[string]string{"nat": "POSTROUTING", "filter": "FORWARD"} }

// parseChains reads podnet's chains and the jumps to them out of what iptables-save prints.
func parseChains(family uint8, save string) []Chain {
	p := chainParser{family: family, chains: map[string]*Chain{}}
	for line := range strings.Lines(save) {
		p.line(strings.TrimSuffix(line, "\n"))
	}
	var out []Chain
	for _, name := range p.order {
		out = append(out, *p.chains[name])
	}
	return out
}

type chainParser struct {
	family uint8
	table  string
	chains map[string]*Chain // of all tables: podnet's names differ
	order  []string
}

func (p *chainParser) line(line string) {
	hook := hooks()[p.table]
	switch {
	case strings.HasPrefix(line, "*"):
		p.table = line[1:]
	case hook != "" && strings.HasPrefix(line, ":"+chainPrefix):
		name, _, _ := strings.Cut(line[1:], " ")
		p.chains[name] = &Chain{Family: p.family, Table: p.table, Chain: name, Hook: hook}
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
func (p *chainParser) target(rule string) *Chain {
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

// restoreInput is what iptables-restore --noflush has to be told to carry out the changes: one transaction a table, which
// touches no chain but podnet's.
func restoreInput(changes []*Change) string {
	var b strings.Builder
	for _, table := range []string{"nat", "filter"} {
		var chains, rules strings.Builder
		for _, c := range changes {
			if c.Object().(Chain).Table == table {
				restoreChain(c, &chains, &rules)
			}
		}
		if chains.Len()+rules.Len() > 0 {
			fmt.Fprintf(&b, "*%s\n%s%sCOMMIT\n", table, &chains, &rules)
		}
	}
	return b.String()
}

func restoreChain(c *Change, chains, rules *strings.Builder) {
	name := c.Object().Name()
	have, _ := c.Have.(Chain)
	want, _ := c.Want.(Chain)
	if c.Op != Delete && (c.Op == Create || have.Rules != want.Rules) {
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
	if c.Op == Delete {
		fmt.Fprintf(rules, "-F %s\n-X %s\n", name, name)
	}
}
