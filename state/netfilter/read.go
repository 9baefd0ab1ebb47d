package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8

// Chain names a chain; an empty Name stands for all of a table's.
type Chain struct {
	Family Family
	Table  string
	Name   string
}

// Rule is what tells a rule from others: the comment that its author gave it, and where it leads.
type Rule struct {
	Chain   string
	Comment string
	Tag     string   // what podnet says in a rule of nftables that nft does not show
	Jump    string   // the chain that it jumps or goes to; of the older filter any target
	Ports   []uint16 // of a rule of iptables for several
	Match

	handle uint64
	spec   string // of iptables-legacy, behind -A
}

// Rules are those of a chain in order. A chain or table that does not exist has none.
func (c *Conn) Rules(chain Chain) ([]Rule, error) {
	var body attrs
	body.string(unix.NFTA_RULE_TABLE, chain.Table)
	if chain.Name != "" {
		body.string(unix.NFTA_RULE_CHAIN, chain.Name)
	}
	var rules []Rule
	err := c.dump(subsystem|unix.NFT_MSG_GETRULE, chain.Family, body, func() { rules = nil }, func(b []byte) {
		rules = append(rules, parseRule(b))
	})
	if err != nil {
		return nil, fmt.Errorf("read the rules of %s %s: %w", chain.Table, chain.Name, err)
	}
	return rules, nil
}

func parseRule(b []byte) Rule {
	r := Rule{Chain: text(find(b, unix.NFTA_RULE_CHAIN)), Comment: userText(find(b, unix.NFTA_RULE_USERDATA), udComment), Tag: userText(find(b, unix.NFTA_RULE_USERDATA), udTag)}
	if handle := find(b, unix.NFTA_RULE_HANDLE); len(handle) == 8 {
		r.handle = binary.BigEndian.Uint64(handle)
	}
	expressions := find(b, unix.NFTA_RULE_EXPRESSIONS)
	r.Match = parseMatch(expressions)
	for _, expression := range each(expressions) {
		data := find(expression, unix.NFTA_EXPR_DATA)
		switch text(find(expression, unix.NFTA_EXPR_NAME)) {
		case "immediate":
			if target := find(data, unix.NFTA_IMMEDIATE_DATA, unix.NFTA_DATA_VERDICT, unix.NFTA_VERDICT_CHAIN); target != nil {
				r.Jump = text(target)
			}
		case "match": // what iptables has in place of nft's comments
			switch text(find(data, unix.NFTA_MATCH_NAME)) {
			case "comment":
				r.Comment = text(find(data, unix.NFTA_MATCH_INFO))
			case "multiport":
				r.Ports = parsePorts(find(data, unix.NFTA_MATCH_INFO))
			}
		}
	}
	return r
}

// HasTable says whether a table exists.
func (c *Conn) HasTable(family Family, name string) (bool, error) {
	var body attrs
	body.string(unix.NFTA_TABLE_NAME, name)
	there, err := c.has(unix.NFT_MSG_GETTABLE, family, body)
	if err != nil {
		return false, fmt.Errorf("look for table %s: %w", name, err)
	}
	return there, nil
}

// HasChain says whether a chain exists.
func (c *Conn) HasChain(chain Chain) (bool, error) {
	var body attrs
	body.string(unix.NFTA_CHAIN_TABLE, chain.Table)
	body.string(unix.NFTA_CHAIN_NAME, chain.Name)
	there, err := c.has(unix.NFT_MSG_GETCHAIN, chain.Family, body)
	if err != nil {
		return false, fmt.Errorf("look for chain %s of %s: %w", chain.Name, chain.Table, err)
	}
	return there, nil
}

func (c *Conn) has(kind uint16, family Family, body attrs) (bool, error) {
	err := c.ask(subsystem|kind, family, body)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// Set names a set or a map.
type Set struct {
	Family Family
	Table  string
	Name   string
}

// Sets are those of a table, maps among them.
func (c *Conn) Sets(family Family, table string) ([]Set, error) {
	var body attrs
	body.string(unix.NFTA_SET_TABLE, table)
	var sets []Set
	err := c.dump(subsystem|unix.NFT_MSG_GETSET, family, body, func() { sets = nil }, func(b []byte) {
		sets = append(sets, Set{family, table, text(find(b, unix.NFTA_SET_NAME))})
	})
	if err != nil {
		return nil, fmt.Errorf("read the sets of %s: %w", table, err)
	}
	return sets, nil
}

// Element is one of a set or map, as bytes in the order of the network, each field of a
// concatenation padded to four.
type Element struct {
	Key     []byte
	End     []byte // the last key of a range, of sets with flags interval and several fields
	Data    []byte // of a map
	Comment string
}

// Elements are those of a set. One that does not exist has none.
func (c *Conn) Elements(set Set) ([]Element, error) {
	var body attrs
	body.string(unix.NFTA_SET_ELEM_LIST_TABLE, set.Table)
	body.string(unix.NFTA_SET_ELEM_LIST_SET, set.Name)
	for range dumpRetries {
		var l listing
		err := c.dump(subsystem|unix.NFT_MSG_GETSETELEM, set.Family, body, func() { l = listing{seen: map[string]bool{}} }, func(b []byte) { l.add(b) })
		if err != nil {
			return nil, fmt.Errorf("read the elements of %s %s: %w", set.Table, set.Name, err)
		}
		if l.whole() {
			return l.elements, nil
		}
	}
	return nil, fmt.Errorf("read the elements of %s %s: %w", set.Table, set.Name, errUnsteady)
}

// listing gathers the elements that the messages of one dump name.
//
// The kernel goes on from message to message by a count of elements, and does not say that it has
// put its hash table in another order meanwhile, as it does a moment after many were added: some
// come twice then, and as many never.
type listing struct {
	elements []Element
	seen     map[string]bool // as the kernel encodes them
}

func (l *listing) add(message []byte) {
	for _, e := range each(find(message, unix.NFTA_SET_ELEM_LIST_ELEMENTS)) {
		l.elements = append(l.elements, parseElement(e))
		l.seen[string(e)] = true
	}
}

// whole says that none came twice, and so that none is missing.
func (l *listing) whole() bool { return len(l.seen) == len(l.elements) }

// parseElement copies: the buffer that b is part of is used again.
func parseElement(b []byte) Element {
	value := func(kind uint16) []byte { return append([]byte(nil), find(b, kind, unix.NFTA_DATA_VALUE)...) }
	return Element{
		Key:     value(unix.NFTA_SET_ELEM_KEY),
		End:     value(elementKeyEnd),
		Data:    value(unix.NFTA_SET_ELEM_DATA),
		Comment: userText(find(b, unix.NFTA_SET_ELEM_USERDATA), udComment),
	}
}

const elementKeyEnd = 10 // NFTA_SET_ELEM_KEY_END, which x/sys lacks
