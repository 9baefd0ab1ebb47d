// Package verdict judges what the rules of a packet filter do with a packet. It reads rules from
// the text of iptables-save, from the JSON of nft, and from the kernel's own form of nftables
// rules. It is pure: it opens nothing and knows no clock.
//
// A match that it does not know may fit or not. A verdict that depends on such a match is called
// unsure.
package verdict

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/podnet/podnet/state/shell"
)

// Verdict is what becomes of a packet at one hook.
type Verdict struct {
	Drop   bool
	Unsure bool   // a rule drops it that may not fit, or accepts it that may not
	Where  string // the rule that drops it, with its place: "filter FORWARD rule 3: -j DROP"
	Remedy string // the command that takes that rule or policy away
	Policy bool   // it is no rule's, but what a chain does at its end
	Wide   bool   // the rule is not about this packet in particular: nearly all go its way
	NAT    string // MASQUERADE, SNAT, DNAT: what rewrites it; "": nothing

	NATWhere string // the rule that rewrites it, with its place

	chain *chain
}

// Allow is the command that puts a rule ahead of the one that drops: packets that come in or leave
// by a device, or go to a UDP port, pass.
func (v Verdict) Allow(in, out string, port uint16) string {
	words, verdict := []string{v.chain.command, "-t", v.chain.table, "-I", v.chain.name}, []string{"-j", "ACCEPT"}
	if v.chain.nft {
		words, verdict = append(append([]string{"nft", "insert", "rule"}, strings.Fields(v.chain.table)...),
			v.chain.name), []string{"accept"}
	}
	add := func(given bool, iptables, nft, value string) {
		switch {
		case !given:
		case v.chain.nft:
			words = append(append(words, strings.Fields(nft)...), value)
		default:
			words = append(append(words, strings.Fields(iptables)...), value)
		}
	}
	add(in != "", "-i", "iifname", in)
	add(out != "", "-o", "oifname", out)
	add(port != 0, "-p udp --dport", "udp dport", strconv.Itoa(int(port)))
	return shell.Join(append(words, verdict...)...)
}

// Surely says that the packet is dropped whatever the matches that nobody knows come to.
func (v Verdict) Surely() bool { return v.Drop && !v.Unsure }

// NFT says that the rule is nftables' own.
func (v Verdict) NFT() bool { return v.chain != nil && v.chain.nft }

// rule is one rule in a form that the sources share.
type rule struct {
	text    string
	fits    func(Packet) answer
	matches int    // how many there are
	verdict string // accept, drop, either, return, nat, jump, goto; "": the packet goes on
	target  string // chain, or what rewrites
	remedy  string
	to      string // the destination that DNAT gives
	sets    bool   // it compares with a set, which iptables-save does not tell
}

type chain struct {
	table, name string
	hook        string // prerouting, input, forward, output, postrouting; "": none
	priority    int
	drops       bool   // at its end
	command     string // iptables or ip6tables
	nft         bool
	remedy      string
	rules       []rule
}

// Doubt marks a rule, by its place in its chain from 0, that its source shows only in part: it is
// about fewer packets than its text says, and remedy is the command that takes away it alone. A map
// of verdicts decides either way.
func (r *Rules) Doubt(table, chain string, place int, byMap bool, remedy string) {
	c := r.chains[table+" "+chain]
	if c == nil || place >= len(c.rules) {
		return
	}
	u := &c.rules[place]
	shown := u.fits
	u.fits = func(p Packet) answer { return shown(p).and(maybe) }
	u.matches++
	u.text = strings.TrimSpace(u.text + " (for what is in a set of nftables)")
	u.remedy = remedy
	if byMap {
		u.verdict = "either"
	}
}

// Rules are the rules of one family from one source.
type Rules struct {
	base   []*chain // in the order of a hook
	chains map[string]*chain
}

func newRules() *Rules { return &Rules{chains: map[string]*chain{}} }

// Closed says that the policy of one of a hook's chains drops.
func (r *Rules) Closed(hook string) bool {
	return slices.ContainsFunc(r.base, func(c *chain) bool { return c.hook == hook && c.drops })
}

// HasChain reports whether a table has a chain of this name. A table of nftables goes by its family
// and name, one of iptables by its name.
func (r *Rules) HasChain(table, name string) bool { return r.chains[table+" "+name] != nil }

// Without returns the rules as they would be if a chain had none.
func (r *Rules) Without(table, name string) *Rules {
	out := &Rules{r.base, maps.Clone(r.chains)}
	if c := r.chains[table+" "+name]; c != nil {
		empty := *c
		empty.rules = nil
		out.chains[table+" "+name] = &empty
	}
	return out
}

// Hooks, in lower case whatever the source calls them.
const (
	Prerouting  = "prerouting"
	Input       = "input"
	Forward     = "forward"
	Output      = "output"
	Postrouting = "postrouting"
)

// Walk has a packet go through every chain of a hook.
func (r *Rules) Walk(hook string, p Packet) Verdict {
	var out Verdict
	for _, c := range r.base {
		if c.hook != hook {
			continue
		}
		v := r.enter(c, p)
		if out.NAT == "" {
			out.NAT, out.NATWhere = v.NAT, v.NATWhere
		}
		if v.Surely() {
			return v.rewritten(out)
		}
		if v.Drop && !out.Drop {
			out = v.rewritten(out)
		}
	}
	return out
}

// rewritten is the verdict with what another says about rewriting.
func (v Verdict) rewritten(by Verdict) Verdict {
	v.NAT, v.NATWhere = by.NAT, by.NATWhere
	return v
}

// enter is one base chain.
func (r *Rules) enter(c *chain, p Packet) Verdict {
	w := walk{rules: r, packet: p, base: c}
	if !w.through(c, yes, 0) && c.drops {
		w.drop(Verdict{chain: c, Drop: true, Policy: true, Wide: true, Unsure: w.accepted,
			Where: c.table + " " + c.name + ": its policy drops", Remedy: c.remedy})
	}
	return w.verdict
}

// walk is the state of a packet in one base chain.
type walk struct {
	rules    *Rules
	base     *chain
	packet   Packet
	accepted bool // perhaps, by a rule that may fit
	verdict  Verdict
	visited  map[visit]bool

	before string // the chain that ends the walk when the base chain jumps to it; "": none
	passed bool   // perhaps, and untouched
	end    *End   // what surely decided over it
}

// visit is a packet's coming to a chain. Another one of the same certainty finds nothing that the
// first did not, and chains that jump on to chains, several times each, would take for ever.
type visit struct {
	chain *chain
	sure  answer
}

// through walks a chain's rules; sure says whether the packet comes to it. True: its way in the
// base chain is decided.
func (w *walk) through(c *chain, sure answer, depth int) bool {
	for i, r := range c.rules {
		if depth == 0 && r.jumpsTo(w.before) {
			return true
		}
		here := r.fits(w.packet) // for a packet that has come so far
		if here == no {
			continue
		}
		fits := here.and(sure)
		switch r.verdict {
		case "accept", "nat":
			w.accept(r, fits, place(c, i)+r.text)
		case "drop":
			w.drop(Verdict{
				chain: w.base, Drop: true, Unsure: fits == maybe || w.accepted, Wide: r.matches == 0 &&
					depth == 0, Remedy: r.remedy,
				Where: place(c, i) + r.text,
			})
		case "either":
			w.accepted = true
			w.drop(Verdict{chain: w.base, Drop: true, Unsure: true, Remedy: r.remedy, Where: place(c, i) + r.text})
		case "jump", "goto":
			if next := w.rules.chains[c.table+" "+r.target]; next != nil && w.visit(next, fits, depth+1) {
				return true
			}
		}
		switch {
		case r.leaves() && here == yes:
			w.decide(c, i, fits, depth)
			return r.ends() && fits == yes
		case r.leaves() && !r.ends():
			sure = maybe // it may be elsewhere by now
		}
	}
	return false
}

// visit goes through a chain that a rule leads to, unless the packet has been there.
func (w *walk) visit(c *chain, sure answer, depth int) bool {
	if w.visited == nil {
		w.visited = map[visit]bool{}
	}
	v := visit{c, sure}
	if w.visited[v] {
		return false
	}
	w.visited[v] = true
	return w.through(c, sure, depth)
}

// ends says that the rule decides over the packet.
func (r rule) ends() bool {
	return r.verdict == "accept" || r.verdict == "nat" || r.verdict == "drop" || r.verdict == "either"
}

// leaves says that no rule behind this one sees the packet.
func (r rule) leaves() bool { return r.ends() || r.verdict == "return" || r.verdict == "goto" }

func (w *walk) accept(r rule, fits answer, where string) {
	switch {
	case fits == maybe:
		w.accepted = true
		w.passed = w.passed || r.verdict == "accept"
	case r.verdict == "nat":
		w.verdict.NAT, w.verdict.NATWhere = r.target, where
	}
}

// drop keeps the first that is sure, else the first.
func (w *walk) drop(v Verdict) {
	if !w.verdict.Drop || w.verdict.Unsure && !v.Unsure {
		w.verdict = v.rewritten(w.verdict)
	}
}

func place(c *chain, i int) string {
	return strings.TrimSpace(c.table+" "+c.name) + " rule " + strconv.Itoa(i+1) + ": "
}
