package netfilter

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// BaseChain is a chain as the kernel lists it, with its rules in words.
type BaseChain struct {
	Chain
	Hook
	Drops bool     // its policy
	Rules []string // of podnet's rules their words; of others "handle N", which nobody writes
}

// Table is one table with its chains.
type Table struct {
	Dormant bool // the kernel sends no packet through it
	Chains  []BaseChain
}

// ReadTable reads a table and the rules that AddWords has made in it. It reports false if there is no
// such table.
func (c *Conn) ReadTable(family netlink.Family, name string) (t Table, found bool, err error) {
	const dormant = 1 // NFT_TABLE_F_DORMANT
	answers, err := c.Exchange(request(unix.NFT_MSG_GETTABLE, family).String(unix.NFTA_TABLE_NAME, name))
	if err == nil && answers[0].Err != nil {
		if answers[0].Err == unix.ENOENT {
			return t, false, nil
		}
		err = answers[0].Err
	}
	if err != nil {
		return t, false, fmt.Errorf("look for table %s: %w", name, err)
	}
	for _, body := range answers[0].Data {
		t.Dormant = field(netlink.NetfilterAttributes(body), unix.NFTA_TABLE_FLAGS)&dormant != 0
	}
	if t.Chains, err = c.chains(family, name); err != nil {
		return t, true, fmt.Errorf("list the chains of %s: %w", name, err)
	}
	places := map[string]*BaseChain{}
	for i := range t.Chains {
		places[t.Chains[i].Name] = &t.Chains[i]
	}
	reset := func() {
		for i := range t.Chains {
			t.Chains[i].Rules = nil
		}
	}
	m := request(unix.NFT_MSG_GETRULE, family).String(unix.NFTA_RULE_TABLE, name)
	err = c.list(m, reset, func(b []byte) {
		if chain := places[text(b, unix.NFTA_RULE_CHAIN)]; chain != nil {
			chain.Rules = append(chain.Rules, wordsOf(family, b))
		}
	})
	if err != nil {
		return t, true, fmt.Errorf("list the rules of %s: %w", name, err)
	}
	return t, true, nil
}

// chains lists the chains of a table. The kernel lists those of all tables of the family.
func (c *Conn) chains(family netlink.Family, name string) (all []BaseChain, err error) {
	err = c.list(request(unix.NFT_MSG_GETCHAIN, family), func() { all = nil }, func(b []byte) {
		if text(b, unix.NFTA_CHAIN_TABLE) != name {
			return
		}
		hook := netlink.Attribute(b, unix.NFTA_CHAIN_HOOK)
		all = append(all, BaseChain{
			Chain: Chain{family, name, text(b, unix.NFTA_CHAIN_NAME)},
			Hook: Hook{text(b, unix.NFTA_CHAIN_TYPE), field(hook, unix.NFTA_HOOK_HOOKNUM),
				int32(field(hook, unix.NFTA_HOOK_PRIORITY))},
			Drops: hook != nil && field(b, unix.NFTA_CHAIN_POLICY) == verdictDrop,
		})
	})
	return all, err
}

// wordsOf returns the words that AddWords has left in a rule, if the kernel's rule is what they say.
// Of any other rule it returns its handle.
func wordsOf(family netlink.Family, b []byte) string {
	said := userText(netlink.Attribute(b, unix.NFTA_RULE_USERDATA), udTag)
	if x, err := ParseWords(family, said); err == nil && said != "" {
		if holds(netlink.Encode(list(x.list)), netlink.Attribute(b, unix.NFTA_RULE_EXPRESSIONS)) {
			return said
		}
	}
	handle := netlink.Attribute(b, unix.NFTA_RULE_HANDLE)
	if len(handle) != 8 {
		return "handle unknown"
	}
	return fmt.Sprintf("handle %d", binary.BigEndian.Uint64(handle))
}

// holds reports whether attributes that the kernel lists are those that were sent. What it lists
// beyond them has to be zero, which is what an attribute that was not sent is.
func holds(sent, listed []byte) bool {
	rest := map[uint16][][]byte{}
	netlink.EachAttribute(listed, func(typ uint16, v []byte) { rest[typ] = append(rest[typ], v) })
	same := true
	netlink.EachNested(sent, func(typ uint16, nested bool, v []byte) {
		values := rest[typ]
		if len(values) == 0 {
			same = false
			return
		}
		rest[typ] = values[1:]
		if nested {
			same = same && holds(v, values[0])
		} else {
			same = same && bytes.Equal(v, values[0])
		}
	})
	for _, values := range rest {
		for _, v := range values {
			same = same && len(bytes.Trim(v, "\x00")) == 0
		}
	}
	return same
}

// AddWords adds a rule, given in nft's words, at the end of a chain. The kernel keeps the words with
// the rule, so that ReadTable can return them.
func (b *Batch) AddWords(c Chain, text string) error {
	x, err := ParseWords(c.Family, text)
	if err != nil {
		return err
	}
	b.addRule(c, x, userData(udTag, text), text)
	return nil
}

// WakeTable makes a table; one that is there is no error, and is dormant no longer.
func (b *Batch) WakeTable(f netlink.Family, name string) {
	b.add(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, f, func(m *netlink.Message) {
		table(name)(m)
		m.NetUint32(unix.NFTA_TABLE_FLAGS, 0)
	}, "make table %s", name)
}
