package netlink

import "golang.org/x/sys/unix"

// Message is a request in the making. Its methods return it, so that they can be chained.
type Message struct {
	typ, flags uint16
	body       []byte
}

// NewMessage begins a request with the header of its type. It is acknowledged.
func NewMessage(typ, flags uint16, header []byte) *Message {
	return &Message{typ, flags | unix.NLM_F_REQUEST | unix.NLM_F_ACK, append(make([]byte, 0, 256), header...)}
}

// Bytes adds an attribute.
func (m *Message) Bytes(typ uint16, value []byte) *Message {
	m.body = native.AppendUint16(m.body, uint16(unix.SizeofRtAttr+len(value)))
	m.body = native.AppendUint16(m.body, typ)
	m.body = append(m.body, value...)
	for len(m.body)%4 != 0 {
		m.body = append(m.body, 0)
	}
	return m
}

// String adds a text that ends with a zero byte.
func (m *Message) String(typ uint16, value string) *Message {
	return m.Bytes(typ, append([]byte(value), 0))
}

// Uint32 adds a number in the machine's order of bytes.
func (m *Message) Uint32(typ uint16, value uint32) *Message {
	return m.Bytes(typ, native.AppendUint32(nil, value))
}

// Uint16 adds a number in the machine's order of bytes.
func (m *Message) Uint16(typ, value uint16) *Message {
	return m.Bytes(typ, native.AppendUint16(nil, value))
}

// Uint8 adds a number.
func (m *Message) Uint8(typ uint16, value uint8) *Message { return m.Bytes(typ, []byte{value}) }

// Bool adds a number that is 1 or 0.
func (m *Message) Bool(typ uint16, value bool) *Message {
	if value {
		return m.Uint8(typ, 1)
	}
	return m.Uint8(typ, 0)
}

// Raw adds bytes that are no attribute, such as the header within a veth's peer.
func (m *Message) Raw(b []byte) *Message {
	m.body = append(m.body, b...)
	return m
}

// Nest adds an attribute whose content is what f adds.
func (m *Message) Nest(typ uint16, f func(*Message)) *Message {
	start := len(m.body)
	m.Bytes(typ|unix.NLA_F_NESTED, nil)
	f(m)
	native.PutUint16(m.body[start:], uint16(len(m.body)-start))
	return m
}

func (m *Message) finish(seq uint32) []byte {
	b := make([]byte, 0, unix.NLMSG_HDRLEN+len(m.body))
	b = native.AppendUint32(b, uint32(unix.NLMSG_HDRLEN+len(m.body)))
	b = native.AppendUint16(b, m.typ)
	b = native.AppendUint16(b, m.flags)
	b = native.AppendUint32(b, seq)
	b = native.AppendUint32(b, 0)
	return append(b, m.body...)
}
