package rtnl

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Addr is an address of a link.
type Addr struct {
	Prefix netip.Prefix
	Flags  uint32
}

func family(a netip.Addr) uint8 {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func addrHeader(family uint8, bits, index int) []byte {
	b := make([]byte, unix.SizeofIfAddrmsg)
	b[0], b[1] = family, uint8(bits)
	native.PutUint32(b[4:], uint32(index))
	return b
}

// AddAddr gives a link an address: EEXIST.
func AddAddr(index int, p netip.Prefix, flags uint32) *Message {
	m := address(unix.RTM_NEWADDR, unix.NLM_F_CREATE|unix.NLM_F_EXCL, index, p)
	if flags != 0 {
		m.Uint32(unix.IFA_FLAGS, flags)
	}
	if p.Addr().Is4() && p.Bits() < 31 {
		m.Bytes(unix.IFA_BROADCAST, broadcast(p))
	}
	return m
}

// DelAddr takes an address from a link: EADDRNOTAVAIL.
func DelAddr(index int, p netip.Prefix) *Message { return address(unix.RTM_DELADDR, 0, index, p) }

func address(typ, flags uint16, index int, p netip.Prefix) *Message {
	a := p.Addr().AsSlice()
	return NewMessage(typ, flags, addrHeader(family(p.Addr()), p.Bits(), index)).Bytes(unix.IFA_LOCAL, a).Bytes(unix.IFA_ADDRESS, a)
}

func broadcast(p netip.Prefix) []byte {
	b := p.Addr().AsSlice()
	for i, m := range net.CIDRMask(p.Bits(), 32) {
		b[i] |= ^m
	}
	return b
}

// Addrs lists the addresses of a link.
func (c *Conn) Addrs(index int) ([]Addr, error) {
	data, err := c.Dump(NewMessage(unix.RTM_GETADDR, 0, addrHeader(unix.AF_UNSPEC, 0, index)))
	if err != nil {
		return nil, err
	}
	var addrs []Addr
	for _, d := range data {
		if len(d) < unix.SizeofIfAddrmsg || int(native.Uint32(d[4:])) != index {
			continue
		}
		attrs := Attributes(d[unix.SizeofIfAddrmsg:])
		local := attrs[unix.IFA_LOCAL]
		if local == nil {
			local = attrs[unix.IFA_ADDRESS]
		}
		if a, ok := netip.AddrFromSlice(local); ok {
			addrs = append(addrs, Addr{netip.PrefixFrom(a, int(d[1])), uint32(number(attrs[unix.IFA_FLAGS]))})
		}
	}
	return addrs, nil
}

// Route is a unicast route over a link. A Gateway that is not valid: none.
type Route struct {
	Dst             netip.Prefix
	Gateway         netip.Addr
	Index           int
	Table, Priority int // table 0: main
	Scope           uint8
	MTU, AdvMSS     int
}

// Put adds the route beside others to the same destination, over another link for example, where the kernel has the last one
// go first for IPv4 and takes turns for IPv6: EEXIST, ENETUNREACH, EHOSTUNREACH.
func (r Route) Put() *Message {
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1], head[5], head[6], head[7] = family(r.Dst.Addr()), uint8(r.Dst.Bits()), unix.RTPROT_BOOT, r.Scope, unix.RTN_UNICAST
	m := NewMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE, head)
	m.Bytes(unix.RTA_DST, r.Dst.Addr().AsSlice()).Uint32(unix.RTA_OIF, uint32(r.Index)).Uint32(unix.RTA_TABLE, uint32(r.table()))
	if r.Gateway.IsValid() {
		m.Bytes(unix.RTA_GATEWAY, r.Gateway.AsSlice())
	}
	if r.Priority != 0 {
		m.Uint32(unix.RTA_PRIORITY, uint32(r.Priority))
	}
	if r.MTU == 0 && r.AdvMSS == 0 {
		return m
	}
	return m.Nest(unix.RTA_METRICS, func(m *Message) {
		if r.MTU != 0 {
			m.Uint32(unix.RTAX_MTU, uint32(r.MTU))
		}
		if r.AdvMSS != 0 {
			m.Uint32(unix.RTAX_ADVMSS, uint32(r.AdvMSS))
		}
	})
}

func (r Route) table() int {
	if r.Table == 0 {
		return unix.RT_TABLE_MAIN
	}
	return r.Table
}

// HasRoute compares table, link, destination, gateway and, if there is one, priority.
func (c *Conn) HasRoute(want Route) (bool, error) {
	head := make([]byte, unix.SizeofRtMsg)
	head[0] = family(want.Dst.Addr())
	m := NewMessage(unix.RTM_GETROUTE, 0, head).Uint32(unix.RTA_TABLE, uint32(want.table())).Uint32(unix.RTA_OIF, uint32(want.Index))
	data, err := c.Dump(m)
	if errors.Is(err, unix.ENOENT) { // no such table
		return false, nil
	}
	return slices.ContainsFunc(data, want.matches), err
}

func (r Route) matches(d []byte) bool {
	if len(d) < unix.SizeofRtMsg {
		return false
	}
	attrs := Attributes(d[unix.SizeofRtMsg:])
	dst, _ := netip.AddrFromSlice(attrs[unix.RTA_DST])
	if !dst.IsValid() {
		dst = netip.IPv6Unspecified()
		if r.Dst.Addr().Is4() {
			dst = netip.IPv4Unspecified()
		}
	}
	if netip.PrefixFrom(dst, int(d[1])) != r.Dst || number(attrs[unix.RTA_TABLE]) != r.table() ||
		r.Priority != 0 && number(attrs[unix.RTA_PRIORITY]) != r.Priority {
		return false
	}
	return r.hasHop(number(attrs[unix.RTA_OIF]), attrs) || r.hasHopOf(attrs[unix.RTA_MULTIPATH])
}

func (r Route) hasHop(index int, attrs map[uint16][]byte) bool {
	gateway, _ := netip.AddrFromSlice(attrs[unix.RTA_GATEWAY])
	return index == r.Index && gateway == r.Gateway
}

// hasHopOf looks at the hops of several routes that the kernel has made one.
func (r Route) hasHopOf(hops []byte) bool {
	for len(hops) >= unix.SizeofRtNexthop {
		size := int(native.Uint16(hops))
		if size < unix.SizeofRtNexthop || size > len(hops) {
			return false
		}
		if r.hasHop(int(native.Uint32(hops[4:])), Attributes(hops[unix.SizeofRtNexthop:size])) {
			return true
		}
		hops = hops[min((size+3)&^3, len(hops)):]
	}
	return false
}

// SetNeighbour makes an entry or replaces one.
func SetNeighbour(index int, a netip.Addr, mac net.HardwareAddr, state uint16) *Message {
	return neighbour(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, a, state).Bytes(unix.NDA_LLADDR, mac)
}

// DelNeighbour removes an entry: ENOENT.
func DelNeighbour(index int, a netip.Addr) *Message {
	return neighbour(unix.RTM_DELNEIGH, 0, index, a, 0)
}

func neighbour(typ, flags uint16, index int, a netip.Addr, state uint16) *Message {
	head := make([]byte, unix.SizeofNdMsg)
	head[0] = family(a)
	native.PutUint32(head[4:], uint32(index))
	native.PutUint16(head[8:], state)
	return NewMessage(typ, flags, head).Bytes(unix.NDA_DST, a.AsSlice())
}
