// Package verdict tells what a packet filter does to a packet, as far as that can be told from its rules: a match that it
// does not know may hold or not. It is pure.
package verdict

import "net/netip"

// Outcome is a set of what may become of a packet.
type Outcome uint8

// The outcomes. A packet that surely is dropped has Drop alone.
const (
	Accept Outcome = 1 << iota
	Drop
	pass // the chain ends, and what called it goes on
)

// Truth says whether a rule's matches hold.
type Truth uint8

// The truths.
const (
	No Truth = iota
	Maybe
	Yes
)

// and is the truth of both.
func (t Truth) and(other Truth) Truth { return min(t, other) }

// not turns it round.
func (t Truth) not() Truth { return Yes - t }

func truth(is bool) Truth {
	if is {
		return Yes
	}
	return No
}

// Nowhere is the link over which a packet for the host itself goes out: no link is called so.
const Nowhere = "/"

// Packet is the first one of a new connection. What is zero is not known.
type Packet struct {
	In, Out string // links
	IPv6    bool
	UDP     bool
	Port    uint16 // of its destination
	// Sources are those that it may come from; none: from a stranger, whom no rule names.
	Sources  []netip.Addr
	Stranger bool
}

// from says whether a prefix holds the source.
func (p Packet) from(prefix netip.Prefix) Truth {
	if p.Stranger {
		return truth(prefix.Bits() == 0)
	}
	held := 0
	for _, s := range p.Sources {
		if prefix.Contains(s) {
			held++
		}
	}
	switch {
	case held == 0 && len(p.Sources) > 0:
		return No
	case held == len(p.Sources) && held > 0, prefix.Bits() == 0:
		return Yes
	}
	return Maybe
}

// rule is what a rule does to one packet.
type rule struct {
	holds Truth
	does  Outcome // 0: nothing, or it leads to a chain
	chain string  // where it leads
	gone  bool    // a goto: the packet does not come back
	text  string  // the rule as its tool prints it
}

// deepest is how far chains call each other before the answer is: anything.
const deepest = 16

// walk goes through a chain. last is the rule that surely ended the packet's way in it; "": none did.
func walk(chains func(string) []rule, name string, depth int) (may Outcome, last string) {
	if depth > deepest {
		return Accept | Drop | pass, ""
	}
	for _, r := range chains(name) {
		if r.holds == No || r.does == 0 && r.chain == "" {
			continue
		}
		does, by, back := r.does, r.text, Outcome(0)
		if r.chain != "" {
			if does, by = walk(chains, r.chain, depth+1); !r.gone {
				does, back = does&^pass, does&pass
			}
		}
		may |= does
		if r.holds == Yes && back == 0 {
			return may, by
		}
	}
	return may | pass, ""
}

// judge is the outcome of a base chain.
func judge(chains func(string) []rule, base string, policy Outcome) (Outcome, string) {
	may, by := walk(chains, base, 0)
	if may&pass != 0 {
		may = may&^pass | policy
	}
	return may, by
}
