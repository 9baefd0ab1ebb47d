package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/module"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
)

// ownTables is what podnet's own table holds as of one generation of the rules: nothing is read while
// nothing changes.
type ownTables struct {
	known      bool
	generation uint32
	chains     []state.Chain
	lacks      []netlink.Family    // that the kernel has no rules for
	sources    []netip.Addr        // of the tunnel's set, without a time limit
	expiring   map[netip.Addr]bool // of the set, with one
	senders    heldSenders         // what pods may send from
}

// hookNames are nft's words for the hooks, by their number.
func hookNames() []string { return []string{"prerouting", "input", "forward", "output", "postrouting"} }

// listOwn reports the chains of podnet's own table of nftables, whoever made them: the table is
// podnet's. generation is that of the rules now, if it is known.
func (h *Host) listOwn(generation uint32, known bool, t Traffic, live *state.Live) error {
	if !known {
		return withoutNFTables(t, live)
	}
	if err := h.readOwn(generation); err != nil {
		return err
	}
	for _, c := range h.own.chains {
		live.Chains.Add(c, state.OwnNode)
	}
	if len(h.own.senders.of) > 0 && !t.Want.JudgesSenders() && !live.JudgesSenders() { // sets that are left alone
		live.Chains.Add(state.Chain{Table: state.OwnBridgeTable, Chain: state.SendersChain, Hook: hookText(netfilter.BaseChain{}, false)},
			state.OwnNode)
	}
	if slices.Contains(h.own.lacks, netfilter.Bridge) {
		withoutChains(t, live, lack{what: "nftables for bridges", remedy: "modprobe nft_meta_bridge || modprobe nf_tables",
			of: func(c state.Chain) bool { return c.Table == state.OwnBridgeTable }})
	}
	return nil
}

// readOwn reads podnet's own table, unless it is known as of the generation.
func (h *Host) readOwn(generation uint32) error {
	if h.own.known && h.own.generation == generation {
		return nil
	}
	own := ownTables{known: true, generation: generation, expiring: map[netip.Addr]bool{}}
	for _, name := range []string{state.OwnTable, state.OwnBridgeTable} {
		family, name := splitTable(name)
		table, _, err := h.nft.ReadTable(family, name)
		if lacksFamily(err) {
			own.lacks = append(own.lacks, family)
			continue
		}
		if err != nil {
			return err
		}
		for _, c := range table.Chains {
			own.chains = append(own.chains, state.Chain{Table: tableText(c.Chain), Chain: c.Name,
				Rules: strings.Join(c.Rules, "\n"), Hook: hookText(c, table.Dormant)})
		}
	}
	elements, err := h.nft.Elements(tunnelSet())
	if err != nil {
		return err
	}
	for _, e := range elements {
		if a := netlink.IP(e.Key); e.Timed {
			own.expiring[a] = true
		} else {
			own.sources = append(own.sources, a)
		}
	}
	if own.senders, err = h.readSenders(); err != nil {
		return err
	}
	h.own = own
	return nil
}

// splitTable takes the name of a table of podnet's own apart: state.OwnTable or
// state.OwnBridgeTable.
func splitTable(text string) (netlink.Family, string) {
	family, name, _ := strings.Cut(text, " ")
	if family == "bridge" {
		return netfilter.Bridge, name
	}
	return netfilter.Inet, name
}

// tableText is what splitTable takes apart.
func tableText(c netfilter.Chain) string {
	if c.Family == netfilter.Bridge {
		return "bridge " + c.Table
	}
	return "inet " + c.Table
}

// ownTable is the name of podnet's tables without their family.
func ownTable() string {
	_, name := splitTable(state.OwnTable)
	return name
}

// lacksFamily reports whether the kernel has no rules for a family.
func lacksFamily(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT)
}

// hookText is how state.Chain says where a chain is; podnet wants none that has more to say.
func hookText(c netfilter.BaseChain, dormant bool) string {
	text := "no hook"
	if c.Type != "" {
		hook := strconv.Itoa(int(c.Number))
		if names := hookNames(); int(c.Number) < len(names) {
			hook = names[c.Number]
		}
		text = fmt.Sprintf("%s hook %s priority %d", c.Type, hook, c.Priority)
	}
	if c.Drops {
		text += " policy drop"
	}
	if dormant {
		text += " dormant"
	}
	return text
}

// parseHook reads what hookText writes of a chain that podnet wants.
func parseHook(text string) (h netfilter.Hook, err error) {
	var hook string
	if _, err := fmt.Sscanf(text, "%s hook %s priority %d", &h.Type, &hook, &h.Priority); err != nil {
		return h, fmt.Errorf("hook %q: %w", text, err)
	}
	h.Number = uint32(slices.Index(hookNames(), hook))
	return h, nil
}

// applyOwn carries out changes of podnet's own table, all of them at once. If the kernel refuses
// that, each is tried by itself: what one chain needs and the kernel lacks does not concern the
// others.
func (h *Host) applyOwn(changes []*state.Change) {
	if h.nft == nil {
		for _, c := range changes {
			c.Err = module.Missing("nftables", "nf_tables")
		}
		return
	}
	if changes = h.withoutSenders(changes); len(changes) == 0 {
		return
	}
	table := changes[0].Object().(state.Chain).Table
	if err := h.wakeTable(table); err != nil {
		for _, c := range changes {
			c.Err = err
		}
		return
	}
	if h.commitOwn(changes) != nil && len(changes) > 1 {
		for i := range changes {
			changes[i].Err = h.commitOwn(changes[i : i+1])
		}
	}
	if changes[0].Op == state.Delete {
		h.removeEmptyTable(table)
	}
}

// wakeTable makes podnet's table, and has the kernel send packets through it if somebody has put
// it to sleep. The kernel takes that in no transaction that changes chains too.
func (h *Host) wakeTable(text string) error {
	var b netfilter.Batch
	b.WakeTable(splitTable(text))
	return h.nft.Commit(&b)
}

// commitOwn leaves the result in each change.
func (h *Host) commitOwn(changes []*state.Change) error {
	var b netfilter.Batch
	var err error
	if t := slices.IndexFunc(changes, func(c *state.Change) bool { return c.Op != state.Delete && looksIntoSet(c) }); t >= 0 {
		b.KeepSet(tunnelSet(), netfilter.AddrKey(setFamily(changes[t])))
	}
	for _, c := range changes {
		switch senders := c.Object().Name() == state.SendersChain; {
		case senders && c.Op == state.Delete:
			err = errors.Join(err, h.dropSenders())
			continue
		case senders:
			keepSenders(&b)
		}
		err = errors.Join(err, addChange(&b, c))
	}
	if err == nil {
		err = h.nft.Commit(&b)
	}
	for _, c := range changes {
		c.Err = err
	}
	return err
}

// looksIntoSet says whether the wanted rules go by the tunnel's sources.
func looksIntoSet(c *state.Change) bool {
	return strings.Contains(c.Want.(state.Chain).Rules, "@"+state.TunnelSet)
}

// setFamily is the family of the addresses that the wanted rules look for.
func setFamily(c *state.Change) netlink.Family {
	if strings.Contains(c.Want.(state.Chain).Rules, "ip6 ") {
		return netlink.IPv6
	}
	return netlink.IPv4
}

func addChange(b *netfilter.Batch, c *state.Change) error {
	chain := netfilter.Chain{Name: c.Object().Name()}
	chain.Family, chain.Table = splitTable(c.Object().(state.Chain).Table)
	have, _ := c.Have.(state.Chain)
	want, _ := c.Want.(state.Chain)
	if c.Op == state.Delete {
		b.DeleteChain(chain)
		return nil
	}
	hook, err := parseHook(want.Hook)
	if err != nil {
		return err
	}
	if c.Op == state.Update && have.Hook != want.Hook { // the kernel moves no chain to another hook
		b.DeleteChain(chain)
	}
	b.AddBaseChain(chain, hook)
	for rule := range strings.Lines(want.Rules) {
		if err := b.AddWords(chain, strings.TrimSuffix(rule, "\n")); err != nil {
			return err
		}
	}
	return nil
}

// removeEmptyTable deletes podnet's table when its last chain has gone. That it cannot be done is no
// fault: a table without chains does nothing.
func (h *Host) removeEmptyTable(text string) {
	table, found, err := h.nft.ReadTable(splitTable(text))
	if err != nil || !found || len(table.Chains) > 0 {
		return
	}
	var b netfilter.Batch
	b.DeleteTable(splitTable(text))
	_ = h.nft.Commit(&b)
}
