package netfilter

import (
	"bytes"
	"encoding/binary"
	"iter"
)

const (
	nested   = 1 << 15 // NLA_F_NESTED
	typeMask = 1<<14 - 1
)

// attrs is a sequence of netlink attributes under construction.
type attrs []byte

func (a *attrs) bytes(kind uint16, value []byte) {
	*a = binary.NativeEndian.AppendUint16(*a, uint16(4+len(value)))
	*a = binary.NativeEndian.AppendUint16(*a, kind)
	*a = append(*a, value...)
	for len(*a)%4 != 0 {
		*a = append(*a, 0)
	}
}

func (a *attrs) string(kind uint16, value string) { a.bytes(kind, append([]byte(value), 0)) }

func (a *attrs) u32(kind uint16, value uint32) {
	a.bytes(kind, binary.BigEndian.AppendUint32(nil, value))
}

func (a *attrs) u64(kind uint16, value uint64) {
	a.bytes(kind, binary.BigEndian.AppendUint64(nil, value))
}

func (a *attrs) nest(kind uint16, inner attrs) { a.bytes(kind|nested, inner) }

// each goes through the attributes in b; it stops at the first that is not whole.
func each(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			n := int(binary.NativeEndian.Uint16(b))
			if n < 4 || n > len(b) || !yield(binary.NativeEndian.Uint16(b[2:])&typeMask, b[4:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// find returns the value at the end of a path of attribute types, nil if there is none.
func find(b []byte, path ...uint16) []byte {
	for _, want := range path {
		var found []byte
		for kind, value := range each(b) {
			if kind == want {
				found = value
				break
			}
		}
		if b = found; b == nil {
			return nil
		}
	}
	return b
}

// text is a string up to its terminating zero.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// Types of user data. nft keeps comments in the first, and passes over the second, which is
// podnet's own.
const (
	udComment = 0
	udTag     = 0xb5
)

// userText and userData convert between texts and the user data of rules and elements.
func userText(data []byte, kind byte) string {
	for len(data) >= 2 && len(data) >= 2+int(data[1]) {
		if data[0] == kind {
			return text(data[2 : 2+int(data[1])])
		}
		data = data[2+int(data[1]):]
	}
	return ""
}

func userData(kind byte, s string) []byte {
	return append([]byte{kind, byte(len(s) + 1)}, s+"\x00"...)
}
