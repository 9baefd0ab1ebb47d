package verdict

import (
	"iter"
	"net/netip"
)

// End is the rule by which a packet's way through a built-in chain ends.
type End struct {
	Verdict string // accept, drop, nat
	Chain   string // where the rule is: the built-in chain itself, or one that it leads to
	Number  int    // its place there, from 1
	Remedy  string // the command that takes it away
}

// Ahead is the rule that surely ends a packet's way through a table's built-in chain before that
// jumps to another; jump "": before its end. What hangs on a match that nobody knows, or may have
// been accepted before, does not end surely.
func (r *Rules) Ahead(table, builtin, jump string, p Packet) (End, bool) {
	base := r.chains[table+" "+builtin]
	if base == nil {
		return End{}, false
	}
	w := walk{rules: r, packet: p, base: base, before: jump}
	if w.through(base, yes, 0); w.end == nil {
		return End{}, false
	}
	return *w.end, true
}

// Barrier is the first rule of a built-in chain that no packet gets past, if it comes before the
// jump. One that leaves it to a program what becomes of a packet is none.
func (r *Rules) Barrier(table, builtin, jump string) (End, bool) {
	base := r.chains[table+" "+builtin]
	if base == nil {
		return End{}, false
	}
	for i, rule := range base.rules {
		switch {
		case rule.jumpsTo(jump):
			return End{}, false
		case rule.matches == 0 && rule.leaves() && rule.verdict != "either":
			return End{rule.verdict, base.name, i + 1, rule.remedy}, true
		}
	}
	return End{}, false
}

// Translates says that a chain, by itself, surely rewrites a packet.
func (r *Rules) Translates(table, chain string, p Packet) bool {
	c := r.chains[table+" "+chain]
	if c == nil {
		return false
	}
	w := walk{rules: r, packet: p, base: c}
	w.through(c, yes, 0)
	return w.end != nil && w.end.Verdict == "nat"
}

// Mentions are the sources and destinations that rules compare with: those of a built-in chain
// before its jump to another, and of all that it leads to.
func (r *Rules) Mentions(table, builtin, jump string) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		r.mentions(r.chains[table+" "+builtin], jump, map[*chain]bool{}, yield)
	}
}

// mentions stops, and says false, when there is enough.
func (r *Rules) mentions(c *chain, jump string, seen map[*chain]bool, yield func(netip.Prefix) bool) bool {
	if c == nil || seen[c] {
		return true
	}
	seen[c] = true
	for _, rule := range c.rules {
		if rule.jumpsTo(jump) {
			return true
		}
		words := split(rule.text)
		for i, w := range words[:len(words)-1] {
			if w != "-s" && w != "-d" {
				continue
			}
			if p, err := prefixOf(words[i+1]); err == nil && !yield(p) {
				return false
			}
		}
		if !r.mentions(r.chains[c.table+" "+rule.target], "", seen, yield) {
			return false
		}
	}
	return true
}

// jumpsTo says that every packet that comes to the rule goes on in a chain. No chain has no name.
func (r rule) jumpsTo(chain string) bool {
	return chain != "" && r.verdict == "jump" && r.target == chain && r.matches == 0
}

// decide notes a rule that a packet surely does not get past. A built-in chain that is left this
// way does what its policy says.
func (w *walk) decide(c *chain, i int, fits answer, depth int) {
	r := c.rules[i]
	verdict := r.verdict
	if !r.ends() {
		if depth > 0 {
			return
		}
		if verdict = "accept"; c.drops {
			verdict = "drop"
		}
	}
	perhapsElsewhere := w.accepted
	if verdict == "nat" { // what may have been rewritten before is rewritten either way
		perhapsElsewhere = w.passed
	}
	if fits == yes && !perhapsElsewhere && verdict != "either" && w.end == nil {
		w.end = &End{verdict, c.name, i + 1, r.remedy}
	}
}
