package netlink

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// AppendAttribute appends an attribute to a buffer.
func AppendAttribute(b []byte, typ uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = native.AppendUint16(b, typ)
	b = append(b, value...)
	for len(b)%unix.RTA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// EachAttribute calls each for every attribute in their order, without the bits of its type that
// say how it is encoded. It stops at one that is cut off. It is no iterator, because the body of a
// loop would escape to the heap, once for each of a hundred thousand messages.
func EachAttribute(b []byte, each func(typ uint16, value []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		size := int(native.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			return
		}
		each(native.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:size])
		b = b[min(align(size), len(b)):]
	}
}

// attributes reads a list of attributes; of several of one type the last.
func attributes(b []byte) map[uint16][]byte {
	attrs := map[uint16][]byte{}
	EachAttribute(b, func(typ uint16, value []byte) { attrs[typ] = value })
	return attrs
}

// attribute reads the last attribute of one type, nil if there is none. A map of all takes longer
// to make than most answers to read.
func attribute(b []byte, typ uint16) (found []byte) {
	EachAttribute(b, func(t uint16, value []byte) {
		if t == typ {
			found = value
		}
	})
	return found
}

// Number reads an attribute that is a number in the machine's order of bytes. It returns 0 if it
// has the size of none.
func Number(b []byte) uint32 {
	switch len(b) {
	case 1:
		return uint32(b[0])
	case 2:
		return uint32(native.Uint16(b))
	case 4:
		return native.Uint32(b)
	}
	return 0
}

// Text reads an attribute that is a text, up to its zero byte.
func Text(b []byte) string { return unix.ByteSliceToString(b) }

// IP reads an attribute that is an address. It returns the zero Addr if it has the size of none.
func IP(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}

// EachHop calls each for every next hop of a route with several, with the index of its link and its
// attributes.
func EachHop(b []byte, each func(index int, attributes []byte)) {
	for len(b) >= unix.SizeofRtNexthop {
		size := int(native.Uint16(b))
		if size < unix.SizeofRtNexthop || size > len(b) {
			return
		}
		each(int(native.Uint32(b[4:])), b[unix.SizeofRtNexthop:size])
		b = b[min(align(size), len(b)):]
	}
}
