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
