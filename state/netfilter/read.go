package netfilter

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

const subsystem = unix.NFNL_SUBSYS_NFTABLES << 8

// Chain names a chain; an empty Name stands for all of a table's.
type Chain struct {
	Family netlink.Family
	Table  string
	Name   string
}

// itself is the body of a message about the chain.
func (c Chain) itself(m *netlink.Message) {
	m.String(unix.NFTA_CHAIN_TABLE, c.Table).String(unix.NFTA_CHAIN_NAME, c.Name)
}

// ofRule begins the body of a message about rules of the chain.
func (c Chain) ofRule(m *netlink.Message) {
	m.String(unix.NFTA_RULE_TABLE, c.Table).String(unix.NFTA_RULE_CHAIN, c.Name)
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
	m := request(unix.NFT_MSG_GETRULE, chain.Family).String(unix.NFTA_RULE_TABLE, chain.Table)
	if chain.Name != "" {
		m.String(unix.NFTA_RULE_CHAIN, chain.Name)
	}
	var rules []Rule
	err := c.list(m, func() { rules = nil }, func(b []byte) { rules = append(rules, parseRule(b)) })
	if err != nil {
		return nil, fmt.Errorf("read the rules of %s %s: %w", chain.Table, chain.Name, err)
	}
	return rules, nil
}

func parseRule(b []byte) Rule {
	user := netlink.Attribute(b, unix.NFTA_RULE_USERDATA)
	r := Rule{Chain: text(b, unix.NFTA_RULE_CHAIN), Comment: userText(user, udComment), Tag: userText(user, udTag)}
	if handle := netlink.Attribute(b, unix.NFTA_RULE_HANDLE); len(handle) == 8 {
		r.handle = binary.BigEndian.Uint64(handle)
	}
	expressions := netlink.Attribute(b, unix.NFTA_RULE_EXPRESSIONS)
	r.Match = parseMatch(expressions)
	netlink.EachAttribute(expressions, func(_ uint16, e []byte) { r.readExpression(e) })
	return r
}

// readExpression takes in where the rule leads, and what iptables has in place of nft's comments.
func (r *Rule) readExpression(e []byte) {
	data := netlink.Attribute(e, unix.NFTA_EXPR_DATA)
	switch text(e, unix.NFTA_EXPR_NAME) {
	case "immediate":
		if target := netlink.Attribute(data, unix.NFTA_IMMEDIATE_DATA, unix.NFTA_DATA_VERDICT, unix.NFTA_VERDICT_CHAIN); target != nil {
			r.Jump = netlink.Text(target)
		}
	case "match":
		switch info := netlink.Attribute(data, unix.NFTA_MATCH_INFO); text(data, unix.NFTA_MATCH_NAME) {
		case "comment":
			r.Comment = netlink.Text(info)
		case "multiport":
			r.Ports = parsePorts(info)
		}
	}
}

// HasTable says whether a table exists.
func (c *Conn) HasTable(family netlink.Family, name string) (bool, error) {
	there, err := c.has(request(unix.NFT_MSG_GETTABLE, family).String(unix.NFTA_TABLE_NAME, name))
	if err != nil {
		return false, fmt.Errorf("look for table %s: %w", name, err)
	}
	return there, nil
}

// HasChain says whether a chain exists.
func (c *Conn) HasChain(chain Chain) (bool, error) {
	m := request(unix.NFT_MSG_GETCHAIN, chain.Family)
	chain.itself(m)
	there, err := c.has(m)
	if err != nil {
		return false, fmt.Errorf("look for chain %s of %s: %w", chain.Name, chain.Table, err)
	}
	return there, nil
}

func (c *Conn) has(m *netlink.Message) (bool, error) {
	err := c.Do(m)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return err == nil, err
}

// Set names a set or a map.
type Set struct {
	Family netlink.Family
	Table  string
	Name   string
}

// Sets are those of a table, maps among them.
func (c *Conn) Sets(family netlink.Family, table string) ([]Set, error) {
	m := request(unix.NFT_MSG_GETSET, family).String(unix.NFTA_SET_TABLE, table)
	var sets []Set
	err := c.list(m, func() { sets = nil }, func(b []byte) {
		sets = append(sets, Set{family, table, text(b, unix.NFTA_SET_NAME)})
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
	Timed   bool // it goes by itself after some time
}

// Elements are those of a set. One that does not exist has none.
func (c *Conn) Elements(set Set) ([]Element, error) {
	m := request(unix.NFT_MSG_GETSETELEM, set.Family)
	m.String(unix.NFTA_SET_ELEM_LIST_TABLE, set.Table).String(unix.NFTA_SET_ELEM_LIST_SET, set.Name)
	for range netlink.DumpAttempts {
		var l listing
		err := c.list(m, func() { l = listing{seen: map[string]bool{}} }, func(b []byte) { l.add(b) })
		if err != nil {
			return nil, fmt.Errorf("read the elements of %s %s: %w", set.Table, set.Name, err)
		}
		if l.whole() {
			return l.elements, nil
		}
	}
	return nil, fmt.Errorf("read the elements of %s %s: %w", set.Table, set.Name, netlink.ErrInterrupted)
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
	netlink.EachAttribute(netlink.Attribute(message, unix.NFTA_SET_ELEM_LIST_ELEMENTS), func(_ uint16, e []byte) {
		l.elements = append(l.elements, parseElement(e))
		l.seen[string(e)] = true
	})
}

// whole says that none came twice, and so that none is missing.
func (l *listing) whole() bool { return len(l.seen) == len(l.elements) }

// parseElement copies: the buffer that b is part of is used again.
func parseElement(b []byte) Element {
	value := func(typ uint16) []byte { return bytes.Clone(netlink.Attribute(b, typ, unix.NFTA_DATA_VALUE)) }
	return Element{
		Key:     value(unix.NFTA_SET_ELEM_KEY),
		End:     value(elementKeyEnd),
		Data:    value(unix.NFTA_SET_ELEM_DATA),
		Comment: userText(netlink.Attribute(b, unix.NFTA_SET_ELEM_USERDATA), udComment),
		Timed:   netlink.Attribute(b, unix.NFTA_SET_ELEM_TIMEOUT) != nil,
	}
}

const elementKeyEnd = 10 // NFTA_SET_ELEM_KEY_END, which x/sys lacks
