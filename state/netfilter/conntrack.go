package netfilter

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// Messages and attributes of ctnetlink, which x/sys lacks.
const (
	ctGet    = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	ctDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2

	ctaTupleOrig   = 1
	ctaTupleReply  = 2
	ctaStatus      = 3
	ctaID          = 12
	ctaZone        = 18
	ctaFilter      = 25
	ctaTupleIP     = 1
	ctaTupleProto  = 2
	ctaIPv4Src     = 1
	ctaIPv4Dst     = 2
	ctaIPv6Src     = 3
	ctaIPv6Dst     = 4
	ctaProtoNumber = 1
	ctaProtoDst    = 3
	ctaFilterOrig  = 1

	statusSeenReply   = 1 << 1
	filterProtoNumber = 1 << 3
	filterProtoDst    = 1 << 5
)

// Flow is one connection that the kernel tracks.
type Flow struct {
	Protocol uint8
	Orig     Tuple // of the packets of who opened it, as they were sent
	Reply    Tuple // of the answers, as they come
	Answered bool
}

// Tuple is where the packets of one direction come from and go to.
type Tuple struct {
	Src netip.Addr
	Dst netip.AddrPort
}

// fewConnections are listed faster than they are looked through twice: the kernel goes through its
// whole table, which has place for many, once for every list that it is asked for.
const fewConnections = 4096

// ForgetConnections has the kernel forget the connections of a protocol that were opened to one of
// these ports, if match says yes to where. It leaves others alone.
func (c *Conn) ForgetConnections(protocol uint8, ports []uint16, match func(netip.AddrPort) bool) error {
	asked := map[uint16]bool{}
	for _, p := range ports {
		asked[p] = true
	}
	families, filter := []netlink.Family{netlink.IPv4, netlink.IPv6}, connectionFilter(protocol, ports)
	switch n := connections(); {
	case n == 0:
		return nil
	case n < fewConnections:
		families, filter = []netlink.Family{unix.NFPROTO_UNSPEC}, func(*netlink.Message) {}
	}
	for _, family := range families {
		err := c.forget(family, filter, func(f Flow) bool {
			return f.Protocol == protocol && asked[f.Orig.Dst.Port()] && match(f.Orig.Dst)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// connections is how many the network namespace has; if that cannot be told as many as there can
// be.
func connections() int {
	text, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	n, err2 := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || err2 != nil {
		return math.MaxInt
	}
	return n
}

// Forget has the kernel forget the connections of a family that match says yes to: with the next
// packet they are looked up in the rules again.
func (c *Conn) Forget(family netlink.Family, match func(Flow) bool) error {
	return c.forget(family, func(*netlink.Message) {}, match)
}

// forget is Forget for the connections that pass the kernel's filter.
func (c *Conn) forget(family netlink.Family, filter content, match func(Flow) bool) error {
	list := netlink.NewMessage(ctGet, 0).NetfilterHeader(family, 0)
	filter(list)
	var found []named
	err := c.list(list, func() { found = nil }, func(attributes []byte) {
		if f := parseFlow(attributes); match(f) {
			found = append(found, named{netlink.FamilyOf(f.Orig.Dst.Addr()), nameOf(attributes)})
		}
	})
	if err != nil {
		return fmt.Errorf("read the connections: %w", err)
	}
	for _, err := range c.Apply(len(found), func(i int) netlink.Request { return found[i].deletion() }) {
		if err != nil {
			return fmt.Errorf("forget a connection: %w", err)
		}
	}
	return nil
}

// named is a connection's family and the attributes that stand for it and no other, not even a
// later one of the same addresses.
type named struct {
	family netlink.Family
	name   []byte
}

func nameOf(attributes []byte) []byte {
	name := netlink.AppendAttribute(nil, ctaTupleOrig|unix.NLA_F_NESTED, netlink.Attribute(attributes, ctaTupleOrig))
	for _, typ := range []uint16{ctaID, ctaZone} {
		if value := netlink.Attribute(attributes, typ); value != nil {
			name = netlink.AppendAttribute(name, typ, value)
		}
	}
	return name
}

// deletion has the kernel forget the connection; one that has ended meanwhile is forgotten too.
func (n named) deletion() netlink.Request {
	return netlink.Request{Ignore: unix.ENOENT, Encode: func(b *netlink.Batch) {
		b.Message(ctDelete, 0).NetfilterHeader(n.family, 0).Raw(n.name...)
	}}
}

// connectionFilter has the kernel pass over most of what is not asked for, if it knows how to; an
// older one lists all.
func connectionFilter(protocol uint8, ports []uint16) content {
	return func(m *netlink.Message) {
		flags := uint32(filterProtoNumber)
		m.Nest(ctaTupleOrig, func(m *netlink.Message) {
			m.Nest(ctaTupleProto, func(m *netlink.Message) {
				m.Uint8(ctaProtoNumber, protocol)
				if len(ports) == 1 {
					flags |= filterProtoDst
					m.Bytes(ctaProtoDst, binary.BigEndian.AppendUint16(nil, ports[0]))
				}
			})
		})
		m.Nest(ctaFilter, func(m *netlink.Message) { m.Uint32(ctaFilterOrig, flags) })
	}
}

func parseFlow(attributes []byte) Flow {
	orig := netlink.Attribute(attributes, ctaTupleOrig)
	return Flow{
		Protocol: uint8(netlink.Number(netlink.Attribute(orig, ctaTupleProto, ctaProtoNumber))),
		Orig:     parseTuple(orig),
		Reply:    parseTuple(netlink.Attribute(attributes, ctaTupleReply)),
		Answered: field(attributes, ctaStatus)&statusSeenReply != 0,
	}
}

func parseTuple(b []byte) (t Tuple) {
	var dst netip.Addr
	netlink.EachAttribute(netlink.Attribute(b, ctaTupleIP), func(typ uint16, v []byte) {
		switch typ {
		case ctaIPv4Src, ctaIPv6Src:
			t.Src = netlink.IP(v)
		case ctaIPv4Dst, ctaIPv6Dst:
			dst = netlink.IP(v)
		}
	})
	var port uint16
	if v := netlink.Attribute(b, ctaTupleProto, ctaProtoDst); len(v) == 2 {
		port = binary.BigEndian.Uint16(v)
	}
	t.Dst = netip.AddrPortFrom(dst, port)
	return t
}
