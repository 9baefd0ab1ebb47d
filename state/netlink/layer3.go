package netlink

import (
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Addr is an address of a link.
type Addr struct {
	Prefix netip.Prefix
	Flags  uint32
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
	h := unix.IfAddrmsg{Family: uint8(FamilyOf(p.Addr())), Prefixlen: uint8(p.Bits()), Index: uint32(index)}
	return NewMessage(typ, flags).AddrHeader(h).IP(unix.IFA_LOCAL, p.Addr()).IP(unix.IFA_ADDRESS, p.Addr())
}

func broadcast(p netip.Prefix) []byte {
	b := p.Addr().AsSlice()
	for i, m := range net.CIDRMask(p.Bits(), 32) {
		b[i] |= ^m
	}
	return b
}

// Addrs lists the addresses of a link.
func (c *Conn) Addrs(index int) (addrs []Addr, err error) {
	m := NewMessage(unix.RTM_GETADDR, 0).AddrHeader(unix.IfAddrmsg{Index: uint32(index)})
	err = c.Dump(m, func() { addrs = nil }, func(body []byte) {
		if of, a := ParseAddr(body); of == index && a.Prefix.IsValid() {
			addrs = append(addrs, a)
		}
	})
	return addrs, err
}

// ParseAddr reads the message of an address and the index of its link. It returns the zero Addr if
// there is none.
func ParseAddr(body []byte) (index int, a Addr) {
	if len(body) < unix.SizeofIfAddrmsg {
		return 0, a
	}
	var local, address netip.Addr
	EachAttribute(body[unix.SizeofIfAddrmsg:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFA_LOCAL:
			local = IP(v)
		case unix.IFA_ADDRESS:
			address = IP(v)
		case unix.IFA_FLAGS:
			a.Flags = Number(v)
		}
	})
	if !local.IsValid() { // IPv6, unless the link is point to point
		local = address
	}
	a.Prefix = netip.PrefixFrom(local, int(body[1]))
	return int(native.Uint32(body[4:])), a
}
