package netfilter

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Batch is a transaction under construction: all of it becomes true at once, or none.
type Batch struct {
	changes []change
}

type change struct {
	kind, flags uint16
	family      Family
	body        attrs
	what        string // for the error
}

func (b *Batch) add(kind, flags uint16, family Family, body attrs, format string, args ...any) {
	b.changes = append(b.changes, change{kind, flags, family, body, fmt.Sprintf(format, args...)})
}

// Empty says that there is nothing to commit.
func (b *Batch) Empty() bool { return len(b.changes) == 0 }

// Join adds the changes of another batch behind these.
func (b *Batch) Join(o *Batch) { b.changes = append(b.changes, o.changes...) }

// DeleteElement deletes the element with this key. One that is not there fails the batch: ENOENT.
func (b *Batch) DeleteElement(s Set, e Element) {
	b.add(unix.NFT_MSG_DELSETELEM, 0, s.Family, s.list(e.keys()), "delete the element of %s from %s", e.Comment, s.Name)
}

// keys are the attributes that tell an element from others.
func (e Element) keys() (a attrs) {
	a.nest(unix.NFTA_SET_ELEM_KEY, value(e.Key))
	if len(e.End) > 0 {
		a.nest(elementKeyEnd, value(e.End))
	}
	return a
}

// list is the body of a message about one element.
func (s Set) list(element attrs) (body attrs) {
	var elements attrs
	elements.nest(unix.NFTA_LIST_ELEM, element)
	body.string(unix.NFTA_SET_ELEM_LIST_TABLE, s.Table)
	body.string(unix.NFTA_SET_ELEM_LIST_SET, s.Name)
	body.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS, elements)
	return body
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
func (b *Batch) DeleteRule(family Family, table string, r Rule) {
	var body attrs
	body.string(unix.NFTA_RULE_TABLE, table)
	body.string(unix.NFTA_RULE_CHAIN, r.Chain)
	body.u64(unix.NFTA_RULE_HANDLE, r.handle)
	b.add(unix.NFT_MSG_DELRULE, 0, family, body, "delete a rule of chain %s", r.Chain)
}

// DeleteChain deletes a chain with its rules. Rules that lead to it have to go before, or it fails
// the batch: EBUSY.
func (b *Batch) DeleteChain(c Chain) {
	b.emptyChain(c)
	var chain attrs
	chain.string(unix.NFTA_CHAIN_TABLE, c.Table)
	chain.string(unix.NFTA_CHAIN_NAME, c.Name)
	b.add(unix.NFT_MSG_DELCHAIN, 0, c.Family, chain, "delete chain %s", c.Name)
}

// DeleteTable deletes a table with all that is in it.
func (b *Batch) DeleteTable(family Family, name string) {
	var body attrs
	body.string(unix.NFTA_TABLE_NAME, name)
	b.add(unix.NFT_MSG_DELTABLE, 0, family, body, "delete table %s", name)
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
	out := c.message(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)
	begin := c.seq
	for i, ch := range b.changes {
		flags := ch.flags
		if i == len(b.changes)-1 {
			flags |= unix.NLM_F_ACK // of the others the kernel says only what failed
		}
		out = append(out, c.message(subsystem|ch.kind, flags, ch.family, 0, ch.body)...)
	}
	last := c.seq
	out = append(out, c.message(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES, nil)...)
	if err := c.send(out); err != nil {
		return err
	}
	return c.verdict(b, begin, last)
}

// verdict reads what became of the batch whose messages have these sequence numbers. An error at
// its beginning is about all of it and the last word.
func (c *Conn) verdict(b *Batch, begin, last uint32) (err error) {
	for done := false; !done; {
		receiving := c.receive(begin, func(r reply) {
			if r.kind != unix.NLMSG_ERROR {
				return
			}
			errno := r.errno()
			done = done || r.seq == last || r.seq == begin && errno != nil
			switch {
			case errno == nil || err != nil:
			case r.seq == begin || r.seq > last:
				err = fmt.Errorf("change the packet filter: %w", errno)
			default:
				err = fmt.Errorf("%s: %w", b.changes[r.seq-begin-1].what, errno)
			}
		})
		if receiving != nil {
			return errors.Join(err, receiving)
		}
	}
	return err
}
