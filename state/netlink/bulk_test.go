package netlink

import (
	"errors"
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

const manyEntries = 2000

// entries returns the requests for permanent neighbours of a link.
func entries(index int, typ, flags uint16) func(int) Request {
	return func(i int) Request {
		return Request{Ignore: unix.ENOENT, Encode: func(b *Batch) {
			h := unix.NdMsg{Family: unix.AF_INET, Ifindex: int32(index), State: unix.NUD_PERMANENT}
			m := b.Message(typ, flags).NeighHeader(h).IP(unix.NDA_DST, entry(i))
			m.Bytes(unix.NDA_LLADDR, net.HardwareAddr{2, 0, 0, 0, byte(i >> 8), byte(i)})
		}}
	}
}

func entry(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}) }

// bulkBridge is a bulk socket in a namespace of its own, and the index of a link there.
func bulkBridge(t testing.TB) (c *Conn, index int) {
	c = fresh(t)
	if err := c.Do(bridge("br")); err != nil {
		t.Fatal(err)
	}
	l, err := c.LinkByName("br")
	if err != nil {
		t.Fatal(err)
	}
	c, err = DialBulk(unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, l.Index
}

// countEntries counts the neighbours of a link that entries has made.
func countEntries(t testing.TB, c *Conn, index int) (n int) {
	m := NewMessage(unix.RTM_GETNEIGH, 0).NeighHeader(unix.NdMsg{Family: unix.AF_INET}).Uint32(unix.NDA_IFINDEX, uint32(index))
	err := c.Dump(m, func() { n = 0 }, func(body []byte) {
		EachAttribute(body[unix.SizeofNdMsg:], func(typ uint16, v []byte) {
			if typ == unix.NDA_DST && len(v) == 4 && v[0] == 10 { // the others are of multicast
				n++
			}
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Each request of many batches has its own error, unless it is the one that it ignores, and each
// question its own answer.
func TestBulk(t *testing.T) {
	c, index := bulkBridge(t)
	create := entries(index, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	if err := errors.Join(c.Apply(manyEntries, create)...); err != nil {
		t.Fatal(err)
	}
	if n := countEntries(t, c, index); n != manyEntries {
		t.Errorf("%d entries", n)
	}
	for i, err := range c.Apply(manyEntries+10, create) {
		if (i < manyEntries) != errors.Is(err, unix.EEXIST) {
			t.Fatalf("%d again: %v", i, err)
		}
	}

	found, absent := 0, 0
	err := c.Ask(manyEntries+20, func(i int, b *Batch) {
		h := unix.NdMsg{Family: unix.AF_INET, Ifindex: int32(index)}
		b.Message(unix.RTM_GETNEIGH, 0).NeighHeader(h).IP(unix.NDA_DST, entry(i))
	}, func(i int, body []byte, err error) {
		switch {
		case errors.Is(err, unix.ENOENT) && i >= manyEntries+10:
			absent++
		case err == nil && IP(Attribute(body[unix.SizeofNdMsg:], unix.NDA_DST)) == entry(i):
			found++
		default:
			t.Errorf("%d: %v", i, err)
		}
	})
	if err != nil || found != manyEntries+10 || absent != 10 {
		t.Errorf("%d found, %d absent, %v", found, absent, err)
	}

	remove := entries(index, unix.RTM_DELNEIGH, 0)
	if err := errors.Join(c.Apply(manyEntries+20, remove)...); err != nil {
		t.Error(err)
	}
	if n := countEntries(t, c, index); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}

// A message of a batch and an object of a dump cost no allocation: what is allocated is for a
// request's closure, for a batch, and for a datagram.
func TestBulkAllocations(t *testing.T) {
	c, index := bulkBridge(t)
	replace := entries(index, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	c.Apply(manyEntries, replace)
	if n := testing.AllocsPerRun(3, func() { c.Apply(manyEntries, replace) }); n > 1.1*manyEntries {
		t.Errorf("%d requests take %.0f allocations", manyEntries, n)
	}
	if n := testing.AllocsPerRun(3, func() { countEntries(t, c, index) }); n > 0.05*manyEntries {
		t.Errorf("a dump of %d objects takes %.0f allocations", manyEntries, n)
	}
}

func BenchmarkApply(b *testing.B) {
	c, index := bulkBridge(b)
	replace := entries(index, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
	b.ReportAllocs()
	for b.Loop() {
		c.Apply(manyEntries, replace)
	}
}

func BenchmarkDump(b *testing.B) {
	c, index := bulkBridge(b)
	c.Apply(manyEntries, entries(index, unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE))
	b.ReportAllocs()
	for b.Loop() {
		countEntries(b, c, index)
	}
}
