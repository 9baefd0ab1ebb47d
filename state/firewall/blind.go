package firewall

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
	"github.com/podnet/podnet/state/shell"
)

// saveResult is what iptables-save says of one family's rules, and which tables it cannot show.
type saveResult struct {
	text  string
	blind map[string]*blindTable // by name
}

// blindTable is a table of iptables whose rules cannot be read. It is not empty but unknown: what
// podnet would write there by what it does not see, it would write again and again.
type blindTable struct {
	why      error
	failed   bool           // the program has, for a reason that may be no rule's
	left     []string       // podnet's chains that the kernel has there
	conflict state.Conflict // Key aside; the zero Conflict: it is nobody's rule that hides them
}

// unreadable are the words in which iptables-save says, with exit code 0, that a rule of nftables'
// own keeps it from showing a table.
func unreadable() *regexp.Regexp {
	return regexp.MustCompile("(?m)^# Table [`'](\\w+)' is incompatible")
}

// readSave runs iptables-save. Where that fails, it is asked for podnet's tables one by one: one
// rule of one table can be the reason.
func (h *Host) readSave(family uint8, nftables bool) (saveResult, error) {
	text, err := runIPTables(family, "iptables-save", "")
	s := saveResult{text, map[string]*blindTable{}}
	if err != nil {
		s.text = ""
		for _, table := range slices.Sorted(maps.Keys(hooks())) {
			text, failed := runIPTables(family, "iptables-save", "", "-t", table)
			if failed != nil {
				s.blind[table] = &blindTable{why: lacksModule(failed), failed: true}
			}
			s.text += text
		}
		if len(s.blind) == len(hooks()) && !nftables {
			return s, lacksModule(err)
		}
	}
	for _, m := range unreadable().FindAllStringSubmatch(s.text, -1) {
		s.blind[m[1]] = &blindTable{why: fmt.Errorf("%s calls the table incompatible", command(family, "iptables-save"))}
	}
	if nftables && h.nft != nil {
		return s, h.explainBlind(family, &s)
	}
	return s, nil
}

// explainBlind asks the kernel for podnet's chains that the text lacks, and for the rules that
// iptables-save cannot show.
func (h *Host) explainBlind(family uint8, s *saveResult) error {
	for table := range hooks() {
		if s.blind[table] == nil && strings.Contains(s.text, "\n:"+state.ChainPrefix) && hasOwnChain(s.text, table) {
			continue
		}
		chains, err := h.chainsOf(family, table)
		if err != nil {
			return fmt.Errorf("list the chains of %s %s: %w", wordOf(family), table, err)
		}
		left := slices.DeleteFunc(chains, func(c string) bool { return !ownChain(c) })
		b := s.blind[table]
		if b == nil && len(left) > 0 {
			b = &blindTable{why: fmt.Errorf("%s does not show %s, which the kernel has", command(family, "iptables-save"),
				strings.Join(left, ", "))}
			s.blind[table] = b
		}
		if b != nil {
			b.left = left
		}
	}
	for table, b := range s.blind {
		if err := h.hiddenBy(family, table, b); err != nil {
			return fmt.Errorf("list the rules of %s %s: %w", wordOf(family), table, err)
		}
	}
	return nil
}

// hasOwnChain says whether the text shows a chain of podnet's in a table.
func hasOwnChain(text, table string) bool {
	_, part, found := strings.Cut("\n"+text, "\n*"+table+"\n")
	part, _, _ = strings.Cut(part, "\nCOMMIT")
	return found && strings.Contains("\n"+part, "\n:"+state.ChainPrefix)
}

// hiddenBy finds the first rule that hides a table: one that iptables cannot express.
func (h *Host) hiddenBy(family uint8, table string, b *blindTable) error {
	rules, err := h.tableRules(family, table)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rules, func(r kernelRule) bool { return r.native || r.vmap })
	if i < 0 && b.failed {
		return nil
	}
	name := wordOf(family) + " " + table
	owner := "of iptables, and a rule of nftables' own hides it from " + command(family, "iptables-save")
	remedy := "nft -a list table " + name
	if i >= 0 {
		r := rules[i]
		hidden := fmt.Sprintf("rule handle %d of chain %s", r.handle, r.chain)
		owner = fmt.Sprintf("of iptables, and its %s is one of nftables' own, which hides the table from %s", hidden,
			command(family, "iptables-save"))
		b.why = fmt.Errorf("%s hides the table %s from %s", hidden, name, command(family, "iptables-save"))
		remedy = moveRule(name, r)
	}
	b.conflict = state.Conflict{
		Name: name, Blocks: true, Remedy: remedy,
		Owner: owner + ": podnet neither sees nor heals its chain there; move the rule to a table of your own",
	}
	return nil
}

// moveRule is the command that moves a rule into a table of its own, whose chain comes just before
// the one where it was, in one transaction. A rule that stands behind others, or that accepts,
// leads on or looks into what belongs to its table would do something else there: then it is the
// command that shows it.
func moveRule(table string, r kernelRule) string {
	show := "nft -a list chain " + table + " " + shell.Quote(r.chain)
	out, err := runProgram("", "nft", "-a", "list", "chain", strings.Fields(table)[0], strings.Fields(table)[1], r.chain)
	if err != nil || r.place > 0 {
		return show
	}
	hook := regexp.MustCompile(`type (\w+) hook (\w+) priority ([-\w +]+);`).FindStringSubmatch(out)
	rule := regexp.MustCompile(fmt.Sprintf(`(?m)^\s*(.*) # handle %d$`, r.handle)).FindStringSubmatch(out)
	keeps := regexp.MustCompile(`@|"|\\|\b(accept|return|jump|goto|continue|queue|name)\b`)
	if hook == nil || rule == nil || keeps.MatchString(rule[1]) ||
		strings.Count(rule[1], "{") != strings.Count(rule[1], "}") {
		return show
	}
	own := strings.Fields(table)[0] + " moved"
	return "nft " +
		shell.Quote(fmt.Sprintf("add table %s; add chain %s %s { type %s hook %s priority %s - 1; }; add rule %s %s %s; delete rule %s %s handle %d",
			own, own, r.chain, hook[1], hook[2], hook[3], own, r.chain, rule[1], table, r.chain, r.handle))
}

// doubt marks the rules that iptables-save has shown without the set that they look into: they are
// about fewer packets than they seem to be, and an iptables command that deletes what they seem to
// be would delete them.
func (h *Host) doubt(family uint8, s saveResult, rules *verdict.Rules) error {
	if h.nft == nil {
		return nil
	}
	tables, err := h.tablesWithSets(family)
	if err != nil {
		return err
	}
	for table := range tables {
		if s.blind[table] != nil || !strings.Contains("\n"+s.text, "\n*"+table+"\n") {
			continue
		}
		all, err := h.tableRules(family, table)
		if err != nil {
			return err
		}
		for _, r := range all {
			if r.set {
				rules.Doubt(table, r.chain, r.place, r.vmap,
					fmt.Sprintf("nft delete rule %s %s %s handle %d", wordOf(family), table, shell.Quote(r.chain), r.handle))
			}
		}
	}
	return nil
}

// addBlind reports the wanted chains of a table that cannot be read as they should be, so that
// nothing is written there, and that they are not known. Where none is wanted it reports those that
// stay.
func addBlind(live *state.Live, family uint8, table string, b *blindTable, want *state.Set) error {
	var wanted []string
	key := state.Key{Kind: state.KindChain, Name: table, Num: uint32(family)}
	for c, from := range want.Chains.All() {
		if c.Family == family && c.Table == table {
			live.Chains.Add(c, from)
			wanted, key = append(wanted, c.Chain), c.Key()
		}
	}
	var err error
	switch {
	case len(wanted) > 0:
		err = fmt.Errorf("%s (ipv%d %s) is not known, and left as it is: %w", strings.Join(wanted, ", "), family,
			table, b.why)
	case len(b.left) > 0:
		err = fmt.Errorf("%s (ipv%d %s) and the jumps to it stay: %w", strings.Join(b.left, ", "), family, table, b.why)
	default:
		return nil
	}
	if b.conflict != (state.Conflict{}) {
		c := b.conflict
		c.Key = key
		live.Conflicts = append(live.Conflicts, c)
	}
	return err
}

// joinOnce joins errors of the same text into one.
func joinOnce(errs []error) error {
	return errors.Join(slices.CompactFunc(errs, func(a, b error) bool { return a.Error() == b.Error() })...)
}
