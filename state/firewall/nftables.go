package firewall

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

// baseChain is a chain of nftables that the kernel sends packets through, other than those of
// iptables: an ACCEPT in one of them does not save a packet from the next.
type baseChain struct {
	family nftables.TableFamily
	table  string
	name   string
	input  bool // it sees what is for the host; otherwise what is forwarded
	drops  bool // its policy
	rules  verdict.Table
}

// baseChains are those as of one generation of the rules: nothing is read while nothing changes.
type baseChains struct {
	known      bool
	unasked    bool // iptables was not asked for its tables
	generation uint32
	all        []baseChain
}

// familyName is nft's word.
func (b *baseChain) familyName() string {
	return map[nftables.TableFamily]string{
		nftables.TableFamilyINet: "inet", nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6",
	}[b.family]
}

// program is what keeps the chain's table.
func (b *baseChain) program() string {
	if b.family != nftables.TableFamilyINet && b.table == "filter" && strings.ToUpper(b.name) == b.name {
		return "iptables"
	}
	return "nftables"
}

// version is the IP version of a chain of one family.
func (b *baseChain) version() uint8 {
	if b.family == nftables.TableFamilyIPv6 {
		return 6
	}
	return 4
}

// String is the chain as nft names it.
func (b *baseChain) String() string { return b.familyName() + " " + b.table + " " + b.name }

// sees says that packets of a family pass through the chain.
func (b *baseChain) sees(ipv6 bool) bool {
	return b.family == nftables.TableFamilyINet || ipv6 == (b.family == nftables.TableFamilyIPv6)
}

func (b *baseChain) judge(p verdict.Packet) verdict.Verdict {
	return b.rules.Judge(b.name, b.drops, p)
}

// foreignChains are the base chains on the way of what podnet forwards and of the tunnel's packets.
// A kernel without nftables has none. Those of iptables' own tables are among them where iptables
// does not show them, or is not asked. generation is that of the rules now, if it is known.
func (h *Host) foreignChains(unasked bool, generation uint32, known bool) ([]baseChain, error) {
	if !known {
		return nil, nil
	}
	if h.bases.known && h.bases.generation == generation && h.bases.unasked == unasked {
		return h.bases.all, nil
	}
	hidden := h.hidden()
	if unasked {
		hidden = map[string]bool{"ip filter": true, "ip6 filter": true}
	}
	all, err := readBaseChains(hidden)
	if err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	h.bases = baseChains{true, unasked, generation, all}
	return all, nil
}

// hidden are the tables of iptables that iptables-save cannot show, as of the last reading: "ip
// filter".
func (h *Host) hidden() map[string]bool {
	names := map[string]bool{}
	for family, r := range h.rules {
		for table := range r.blind {
			names[wordOf(family)+" "+table] = true
		}
	}
	return names
}

func readBaseChains(hidden map[string]bool) ([]baseChain, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseLasting() }() // everything has been read
	chains, err := conn.ListChains()
	if err != nil {
		return nil, err
	}
	reader := ruleReader{conn, map[setName][][]byte{}}
	var bases []baseChain
	for _, c := range chains {
		if !onTheWay(c, hidden) {
			continue
		}
		b := baseChain{
			family: c.Table.Family, table: c.Table.Name, name: c.Name, input: *c.Hooknum == *nftables.ChainHookInput,
			drops: c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop,
			rules: verdict.Table{Chains: map[string][][]expr.Any{}, Sets: map[string][][]byte{}},
		}
		if err := b.read(&reader, c.Table, c.Name); err != nil {
			return nil, err
		}
		bases = append(bases, b)
	}
	return bases, nil
}

// foreignTables are the tables with chains that packets of a family pass, as nft names them: those of
// nftables' own, and iptables' too if they are asked for.
func foreignTables(ipv6, iptables bool) ([]string, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.CloseLasting() }() // everything has been read
	chains, err := conn.ListChains()
	if err != nil {
		return nil, fmt.Errorf("read nftables: %w", err)
	}
	var names []string
	for _, c := range chains {
		b := baseChain{family: c.Table.Family, table: c.Table.Name}
		if b.familyName() == "" || c.Hooknum == nil || !b.sees(ipv6) {
			continue
		}
		known := !iptables && b.family != nftables.TableFamilyINet &&
			slices.Contains([]string{"raw", "mangle", "nat", "filter", "security"}, b.table)
		name := b.familyName() + " " + b.table
		if !known && name != state.OwnTable && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// onTheWay leaves out the chains of iptables' own filter table, which iptables-save tells more of,
// unless it hides them.
func onTheWay(c *nftables.Chain, hidden map[string]bool) bool {
	switch c.Table.Family {
	case nftables.TableFamilyINet:
		if c.Table.Name == ownTable() {
			return false
		}
	case nftables.TableFamilyIPv4, nftables.TableFamilyIPv6:
		shown := c.Table.Family == nftables.TableFamilyIPv4 && !hidden["ip filter"] ||
			c.Table.Family == nftables.TableFamilyIPv6 && !hidden["ip6 filter"]
		if c.Table.Name == "filter" && (c.Name == "FORWARD" || c.Name == "INPUT") && shown {
			return false
		}
	default:
		return false
	}
	return c.Type == nftables.ChainTypeFilter && c.Hooknum != nil &&
		(*c.Hooknum == *nftables.ChainHookForward || *c.Hooknum == *nftables.ChainHookInput)
}

// read takes in a chain, those that it leads to, and the sets that a judgement goes by.
func (b *baseChain) read(from *ruleReader, table *nftables.Table, chain string) error {
	if _, known := b.rules.Chains[chain]; known {
		return nil
	}
	rules, err := from.conn.GetRules(table, &nftables.Chain{Name: chain, Table: table})
	if err != nil {
		return fmt.Errorf("%s: %w", chain, err)
	}
	b.rules.Chains[chain] = [][]expr.Any{}
	for _, r := range rules {
		b.rules.Chains[chain] = append(b.rules.Chains[chain], r.Exprs)
		for _, set := range verdict.LooksInto(r.Exprs) {
			if elements := from.elements(table, set); elements != nil {
				b.rules.Sets[set] = elements
			}
		}
	}
	for _, r := range rules {
		for _, e := range r.Exprs {
			if v, leads := e.(*expr.Verdict); leads && v.Chain != "" {
				if err := b.read(from, table, v.Chain); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ruleReader reads every set once, however many rules look into it.
type ruleReader struct {
	conn *nftables.Conn
	sets map[setName][][]byte // nil: nobody can tell
}

type setName struct {
	family      nftables.TableFamily
	table, name string
}

// elements are those of a set without ranges. What is in any other stays unknown: nil.
func (r *ruleReader) elements(table *nftables.Table, name string) [][]byte {
	key := setName{table.Family, table.Name, name}
	if elements, read := r.sets[key]; read {
		return elements
	}
	r.sets[key] = nil
	list, err := r.conn.GetSetElements(&nftables.Set{Table: table, Name: name})
	if err == nil && torn(list) {
		list, err = r.conn.GetSetElements(&nftables.Set{Table: table, Name: name})
	}
	if err != nil || torn(list) ||
		slices.ContainsFunc(list, func(e nftables.SetElement) bool { return e.IntervalEnd || e.KeyEnd != nil }) {
		return nil
	}
	elements := [][]byte{}
	for _, e := range list {
		elements = append(elements, e.Key)
	}
	r.sets[key] = elements
	return elements
}

// torn says that the kernel put its hash table in another order while it was read: some elements
// came twice, as many never.
func torn(list []nftables.SetElement) bool {
	seen := make(map[string]bool, len(list))
	for _, e := range list {
		seen[string(e.Key)] = true
	}
	return len(seen) < len(list)
}
