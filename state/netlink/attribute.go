package netlink

import (
	"encoding/binary"
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
	for typ, value, rest := cutAttribute(b); rest != nil; typ, value, rest = cutAttribute(rest) {
		each(typ&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), value)
	}
}

// EachNested is EachAttribute that also says whether the attribute is marked as one that holds
// others. The kernel does not mark all that do.
func EachNested(b []byte, each func(typ uint16, nested bool, value []byte)) {
	for typ, value, rest := cutAttribute(b); rest != nil; typ, value, rest = cutAttribute(rest) {
		each(typ&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), typ&unix.NLA_F_NESTED != 0, value)
	}
}

// cutAttribute cuts the first attribute off, its type as it stands there. rest is nil if there is
// no whole attribute.
func cutAttribute(b []byte) (typ uint16, value, rest []byte) {
	if len(b) < unix.SizeofRtAttr {
		return 0, nil, nil
	}
	size := int(native.Uint16(b))
	if size < unix.SizeofRtAttr || size > len(b) {
		return 0, nil, nil
	}
	return native.Uint16(b[2:]), b[unix.SizeofRtAttr:size], b[min(align(size), len(b)):]
}

// Encode returns the attributes that f adds.
func Encode(f func(*Message)) []byte {
	var m Message
	f(&m)
	return m.buf
}

// NetfilterAttributes returns the attributes of the body of a message from netfilter, nil if it is
// cut off.
func NetfilterAttributes(body []byte) []byte {
	const header = 4 // sizeof(struct nfgenmsg)
	if len(body) < header {
		return nil
	}
	return body[header:]
}

// attributes reads a list of attributes; of several of one type the last.
func attributes(b []byte) map[uint16][]byte {
	attrs := map[uint16][]byte{}
	EachAttribute(b, func(typ uint16, value []byte) { attrs[typ] = value })
	return attrs
}

// Attribute reads the attribute at the end of a path of types through nested attributes, nil if
// there is none. Of several of one type it takes the last. A map of all attributes takes longer to
// make than most answers to read.
func Attribute(b []byte, path ...uint16) []byte {
	for _, want := range path {
		var found []byte
		EachAttribute(b, func(typ uint16, value []byte) {
			if typ == want {
				found = value
			}
		})
		b = found
	}
	return b
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

// NetNumber reads an attribute of four bytes that is a number in the network's order of bytes. It
// returns 0 if it has another size.
func NetNumber(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
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
