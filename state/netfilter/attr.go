package netfilter

import (
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// content adds the attributes of a message, or of an attribute that holds others.
type content func(*netlink.Message)

// list is a content of elements of a list, one after the other.
func list(elements []content) content {
	return func(m *netlink.Message) {
		for _, e := range elements {
			m.Nest(unix.NFTA_LIST_ELEM, e)
		}
	}
}

// numbers is a content of numbers, each behind its type.
func numbers(pairs ...uint32) content {
	return func(m *netlink.Message) {
		for i := 0; i < len(pairs); i += 2 {
			m.NetUint32(uint16(pairs[i]), pairs[i+1])
		}
	}
}

// value is a content of bytes that a rule loads or compares, or that are a part of an element.
func value(b []byte) content {
	return func(m *netlink.Message) { m.Bytes(unix.NFTA_DATA_VALUE, b) }
}

// field reads a number among attributes, 0 if there is none.
func field(b []byte, typ uint16) uint32 { return netlink.NetNumber(netlink.Attribute(b, typ)) }

// text reads the text at the end of a path of attribute types.
func text(b []byte, path ...uint16) string { return netlink.Text(netlink.Attribute(b, path...)) }

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
			return netlink.Text(data[2 : 2+int(data[1])])
		}
		data = data[2+int(data[1]):]
	}
	return ""
}

func userData(kind byte, s string) []byte {
	return append([]byte{kind, byte(len(s) + 1)}, s+"\x00"...)
}
