package netfilter

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// Batch is a transaction under construction: all of it becomes true at once, or none.
type Batch struct {
	changes []change
}

type change struct {
	typ, flags uint16
	family     netlink.Family
	body       content
	what       string // for the error
}

func (c change) encode(b *netlink.Batch) {
	c.body(b.Message(subsystem|c.typ, c.flags).NetfilterHeader(c.family, 0))
}

func (b *Batch) add(typ, flags uint16, family netlink.Family, body content, format string, args ...any) {
	b.changes = append(b.changes, change{typ, flags, family, body, fmt.Sprintf(format, args...)})
}

// Empty reports whether there is nothing to commit.
func (b *Batch) Empty() bool { return len(b.changes) == 0 }

// Join adds the changes of another batch behind these.
func (b *Batch) Join(o *Batch) { b.changes = append(b.changes, o.changes...) }

// DeleteElement deletes the element with this key. One that is not there fails the batch: ENOENT.
func (b *Batch) DeleteElement(s Set, e Element) {
	b.add(unix.NFT_MSG_DELSETELEM, 0, s.Family, s.list(e.keys), "delete the element of %s from %s", e.Comment, s.Name)
}

// keys are the attributes that tell an element from others.
func (e Element) keys(m *netlink.Message) {
	m.Nest(unix.NFTA_SET_ELEM_KEY, value(e.Key))
	if len(e.End) > 0 {
		m.Nest(elementKeyEnd, value(e.End))
	}
}

// list is the body of a message about one element.
func (s Set) list(element content) content {
	return func(m *netlink.Message) {
		m.String(unix.NFTA_SET_ELEM_LIST_TABLE, s.Table).String(unix.NFTA_SET_ELEM_LIST_SET, s.Name)
		m.Nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, list([]content{element}))
	}
}

// AddRule adds a rule at the end of a chain. Its comment is for all to read, its tag for podnet
// alone.
func (b *Batch) AddRule(c Chain, x *Expressions, comment, tag string) {
	var user []byte
	if comment != "" {
		user = userData(udComment, comment)
	}
	if tag != "" {
		user = append(user, userData(udTag, tag)...)
	}
	b.addRule(c, x, user, comment)
}

// DeleteRule deletes a rule that was read from a table, that one and no other.
func (b *Batch) DeleteRule(family netlink.Family, table string, r Rule) {
	b.add(unix.NFT_MSG_DELRULE, 0, family, func(m *netlink.Message) {
		Chain{family, table, r.Chain}.ofRule(m)
		m.NetUint64(unix.NFTA_RULE_HANDLE, r.handle)
	}, "delete a rule of chain %s", r.Chain)
}

// DeleteChain deletes a chain with its rules. Rules that lead to it have to go before, or it fails
// the batch: EBUSY.
func (b *Batch) DeleteChain(c Chain) {
	b.emptyChain(c)
	b.add(unix.NFT_MSG_DELCHAIN, 0, c.Family, c.itself, "delete chain %s", c.Name)
}

// DeleteTable deletes a table with all that is in it.
func (b *Batch) DeleteTable(family netlink.Family, name string) {
	b.add(unix.NFT_MSG_DELTABLE, 0, family, table(name), "delete table %s", name)
}

// Commit makes a batch true. The error is of the first change that the kernel refused, and wraps
// its errno. A batch that is larger than this process may send at once comes true in parts, in its
// order.
func (c *Conn) Commit(b *Batch) error {
	if b.Empty() {
		return nil
	}
	err := c.commit(b)
	if half := len(b.changes) / 2; errors.Is(err, unix.EMSGSIZE) && half > 0 {
		err = c.Commit(&Batch{b.changes[:half]})
		if err == nil {
			err = c.Commit(&Batch{b.changes[half:]})
		}
	}
	return err
}

func (c *Conn) commit(b *Batch) error {
	refused, err := c.Transact(unix.NFNL_SUBSYS_NFTABLES, len(b.changes), func(i int, out *netlink.Batch) {
		b.changes[i].encode(out)
	})
	switch {
	case err == nil:
		return nil
	case refused < 0:
		return fmt.Errorf("change the packet filter: %w", err)
	}
	return fmt.Errorf("%s: %w", b.changes[refused].what, err)
}
