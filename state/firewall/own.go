package firewall

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/module"
	"github.com/podnet/podnet/state/netfilter"
)

// ownChains are the chains of podnet's own tables as of one generation of the rules: nothing is read
// while nothing changes.
type ownChains struct {
	known      bool
	generation uint32
	all        []state.Chain
}

// hookNames are nft's words for the hooks, by their number.
func hookNames() []string { return []string{"prerouting", "input", "forward", "output", "postrouting"} }

// listOwn reports the chains of podnet's own table of nftables, whoever made them: the table is
// podnet's. generation is that of the rules now, if it is known.
func (h *Host) listOwn(generation uint32, known bool, live *state.Live) error {
	if h.nft == nil || !known {
		return nil
	}
	if !h.own.known || h.own.generation != generation {
		all, err := h.readOwn()
		if err != nil {
			return err
		}
		h.own = ownChains{true, generation, all}
	}
	for _, c := range h.own.all {
		live.Chains.Add(c, state.OwnNode)
	}
	return nil
}

func (h *Host) readOwn() (all []state.Chain, err error) {
	table, _, err := h.nft.ReadTable(netfilter.Inet, ownTable())
	for _, c := range table.Chains {
		all = append(all, state.Chain{
			Table: state.OwnTable, Chain: c.Name, Rules: strings.Join(c.Rules, "\n"), Hook: hookText(c, table.Dormant),
		})
	}
	return all, err
}

// ownTable is the name of state.OwnTable without its family.
func ownTable() string {
	_, name, _ := strings.Cut(state.OwnTable, " ")
	return name
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
	if err := h.wakeTable(); err != nil {
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
	h.removeEmptyTable()
}

// wakeTable makes podnet's table, and has the kernel send packets through it if somebody has put
// it to sleep. The kernel takes that in no transaction that changes chains too.
func (h *Host) wakeTable() error {
	var b netfilter.Batch
	b.WakeTable(netfilter.Inet, ownTable())
	return h.nft.Commit(&b)
}

// commitOwn leaves the result in each change.
func (h *Host) commitOwn(changes []*state.Change) error {
	var b netfilter.Batch
	var err error
	for _, c := range changes {
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

func addChange(b *netfilter.Batch, c *state.Change) error {
	chain := netfilter.Chain{Family: netfilter.Inet, Table: ownTable(), Name: c.Object().Name()}
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
func (h *Host) removeEmptyTable() {
	table, found, err := h.nft.ReadTable(netfilter.Inet, ownTable())
	if err != nil || !found || len(table.Chains) > 0 {
		return
	}
	var b netfilter.Batch
	b.DeleteTable(netfilter.Inet, ownTable())
	_ = h.nft.Commit(&b)
}
