package verdict

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/podnet/podnet/state/shell"
)

// document is what nft prints with -j list ruleset, as far as it is looked at.
type document struct {
	Nftables []struct {
		Chain *struct {
			Family, Table, Name, Type, Hook, Policy string
			Prio                                    any
		}
		Rule *struct {
			Family, Table, Chain string
			Handle               int
			Expr                 []map[string]json.RawMessage
		}
	}
}

// Selection is what ParseNFT reads of a ruleset.
type Selection struct {
	Family   string // ip or ip6
	Own      string // the table whose filters it passes over, which are wanted
	IPTables bool   // packets go through the tables of iptables-nft, too
}

// ParseNFT reads what nft prints with -j list ruleset. Chains of the tables that iptables-nft keeps
// are read in any case. Where iptables itself tells of them, no packet goes through them, as Parse
// tells more; see Rules.Refine.
func ParseNFT(text []byte, of Selection) (*Rules, error) {
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("nft -j list ruleset: %w", err)
	}
	r := newRules()
	for _, o := range d.Nftables {
		if c := o.Chain; c != nil && (c.Family == of.Family || c.Family == "inet") && !(c.Table == of.Own && c.Type == "filter") {
			priority, _ := c.Prio.(float64)
			made := &chain{nft: true, table: c.Family + " " + c.Table, name: c.Name, hook: c.Hook, priority: int(priority),
				drops: c.Policy == "drop"}
			made.remedy = shell.Join("nft", "chain", c.Family, c.Table, c.Name, "{ policy accept; }")
			r.chains[made.table+" "+made.name] = made
			if c.Hook != "" && (c.Family == "inet" || of.IPTables || !slices.Contains(iptablesTables(), c.Table)) {
				r.base = append(r.base, made)
			}
		}
	}
	for _, o := range d.Nftables {
		if u := o.Rule; u != nil {
			if c := r.chains[u.Family+" "+u.Table+" "+u.Chain]; c != nil {
				parsed := nftRule(u.Expr)
				parsed.remedy = shell.Join("nft", "delete", "rule", u.Family, u.Table, u.Chain, "handle", strconv.Itoa(u.Handle))
				c.rules = append(c.rules, parsed)
			}
		}
	}
	r.sort()
	return r, nil
}

// nftRule reads one rule's expressions.
func nftRule(exprs []map[string]json.RawMessage) rule {
	var out rule
	var matches []func(Packet) answer
	var words []string
	service := false
	for _, e := range exprs {
		for name, body := range e {
			switch name {
			case "match":
				m, text, port := nftMatch(body)
				out.sets = out.sets || looksUp(body)
				matches, words, service = append(matches, m), append(words, text), service || port
			case "accept", "drop", "return":
				out.verdict = name
			case "reject":
				out.verdict = "drop"
			case "jump", "goto":
				var to struct{ Target string }
				_ = json.Unmarshal(body, &to) // a target that is not there is no chain
				out.verdict, out.target = name, to.Target
			case "masquerade", "snat", "dnat", "redirect":
				out.verdict, out.target = "nat", strings.ToUpper(name)
				if name == "dnat" {
					out.to = nftDestination(body)
				}
			case "vmap":
				m, text, port := nftMap(body)
				out.verdict = "either"
				matches, words, service = append(matches, m), append(words, text), service || port
			case "counter", "log", "mangle", "notrack":
				continue
			default:
				matches = append(matches, unknown)
			}
			if name != "match" {
				words = append(words, name)
			}
		}
	}
	out.sets = out.sets || out.verdict == "either"
	out.text, out.matches, out.fits = strings.Join(words, " "), len(matches), every(matches, service)
	return out
}
