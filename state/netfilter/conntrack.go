package netfilter

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes of ctnetlink, which x/sys lacks.
const (
	ctaTupleOrig   = 1
	ctaID          = 12
	ctaZone        = 18
	ctaFilter      = 25
	ctaTupleIP     = 1
	ctaTupleProto  = 2
	ctaIPv4Dst     = 2
	ctaIPv6Dst     = 4
	ctaProtoNumber = 1
	ctaProtoDst    = 3
	ctaFilterOrig  = 1

	filterProtoNumber = 1 << 3
	filterProtoDst    = 1 << 5

	ctGet    = unix.NFNL_SUBSYS_CTNETLINK<<8 | 1
	ctDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2
)

// fewConnections are listed faster than they are looked through twice: the kernel goes through its
// whole table, which has place for many, once for every list that it is asked for.
const fewConnections = 4096

// ForgetConnections has the kernel forget the connections of a protocol that were opened to one of
// these ports, if match says yes to where: with the next packet they are looked up in the rules
// again. Others are left alone.
func (c *Conn) ForgetConnections(protocol uint8, ports []uint16, match func(netip.AddrPort) bool) error {
	asked := map[uint16]bool{}
	for _, p := range ports {
		asked[p] = true
	}
	requests := map[Family]attrs{IPv4: connectionFilter(protocol, ports), IPv6: connectionFilter(protocol, ports)}
	switch n := connections(); {
	case n == 0:
		return nil
	case n < fewConnections:
		requests = map[Family]attrs{unix.NFPROTO_UNSPEC: nil}
	}
	for family, request := range requests {
		err := c.forget(family, request, func(orig []byte) bool {
			number, to := find(orig, ctaTupleProto, ctaProtoNumber), destination(orig)
			return len(number) == 1 && number[0] == protocol && asked[to.Port()] && match(to)
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

// forget deletes the connections of a list that match says yes to, by the addresses that they were
// opened with.
func (c *Conn) forget(family Family, request attrs, match func(orig []byte) bool) error {
	type connection struct {
		family Family
		name   attrs
	}
	var found []connection
	err := c.dump(ctGet, family, request, func() { found = nil }, func(b []byte) {
		if orig := find(b, ctaTupleOrig); match(orig) {
			is := IPv6
			if destination(orig).Addr().Is4() {
				is = IPv4
			}
			found = append(found, connection{is, connectionName(b)})
		}
	})
	if err != nil {
		return fmt.Errorf("read the connections: %w", err)
	}
	for _, f := range found {
		// One that has ended meanwhile is forgotten too.
		if err := c.ask(ctDelete, f.family, f.name); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("forget a connection: %w", err)
		}
	}
	return nil
}

// connectionFilter has the kernel pass over most of what is not asked for, if it knows how to; an
// older one lists all.
func connectionFilter(protocol uint8, ports []uint16) attrs {
	var body, tuple, proto, filter attrs
	flags := uint32(filterProtoNumber)
	proto.bytes(ctaProtoNumber, []byte{protocol})
	if len(ports) == 1 {
		flags |= filterProtoDst
		proto.bytes(ctaProtoDst, binary.BigEndian.AppendUint16(nil, ports[0]))
	}
	tuple.nest(ctaTupleProto, proto)
	filter.bytes(ctaFilterOrig, binary.NativeEndian.AppendUint32(nil, flags))
	body.nest(ctaTupleOrig, tuple)
	body.nest(ctaFilter, filter)
	return body
}

// destination is where the first packet of a connection went.
func destination(tuple []byte) netip.AddrPort {
	ip := find(tuple, ctaTupleIP)
	addr, ok := netip.AddrFromSlice(find(ip, ctaIPv4Dst))
	if !ok {
		addr, _ = netip.AddrFromSlice(find(ip, ctaIPv6Dst))
	}
	port := find(tuple, ctaTupleProto, ctaProtoDst)
	if len(port) != 2 {
		return netip.AddrPortFrom(addr, 0)
	}
	return netip.AddrPortFrom(addr, binary.BigEndian.Uint16(port))
}

// connectionName are the attributes that stand for one connection and no other, not even a later
// one of the same addresses.
func connectionName(b []byte) attrs {
	var name attrs
	name.bytes(ctaTupleOrig|nested, find(b, ctaTupleOrig))
	for _, kind := range []uint16{ctaID, ctaZone} {
		if value := find(b, kind); value != nil {
			name.bytes(kind, value)
		}
	}
	return name
}
