package netlink

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Message is a request under construction. Its methods return it, so that they can be chained. The
// first adds the header of its type, and the others add attributes.
type Message struct {
	buf   []byte
	start int // where the message begins in buf; what is before it are other messages
}

// NewMessage begins a request that is acknowledged.
func NewMessage(typ, flags uint16) *Message {
	m := &Message{buf: make([]byte, 0, 256)}
	m.begin(typ, flags|unix.NLM_F_ACK)
	return m
}

func (m *Message) begin(typ, flags uint16) {
	m.start = len(m.buf)
	m.buf = native.AppendUint32(m.buf, 0) // the length, which seal sets
	m.buf = native.AppendUint16(m.buf, typ)
	m.buf = native.AppendUint16(m.buf, flags|unix.NLM_F_REQUEST)
	m.buf = native.AppendUint64(m.buf, 0) // the sequence number, which Conn.send sets, and the socket's
}

func (m *Message) addFlags(flags uint16) {
	b := m.buf[m.start+6:]
	native.PutUint16(b, native.Uint16(b)|flags)
}

// seal sets the length of a message that is complete.
func (m *Message) seal() {
	if len(m.buf) > m.start {
		native.PutUint32(m.buf[m.start:], uint32(len(m.buf)-m.start))
	}
}

// Batch is messages under construction that are sent in one write, in one buffer that is used
// again.
type Batch struct {
	last  Message // behind the others
	count int
}

// Message begins another message. The one before is complete. The kernel answers it if it refuses
// it or has to answer it.
func (b *Batch) Message(typ, flags uint16) *Message {
	b.last.seal()
	b.count++
	b.last.begin(typ, flags)
	return &b.last
}

// Bytes returns the messages. They are good until the batch is used again.
func (b *Batch) Bytes() []byte {
	b.last.seal()
	return b.last.buf
}

// add appends a message that was built elsewhere.
func (b *Batch) add(m *Message) {
	m.seal()
	b.last.seal()
	b.last.start = len(b.last.buf)
	b.last.buf = append(b.last.buf, m.buf[m.start:]...)
	b.count++
}

func (b *Batch) reset() { *b = Batch{last: Message{buf: b.last.buf[:0]}} }

// LinkHeader adds the header of a message about a link. Index 0: an attribute tells its name.
func (m *Message) LinkHeader(h unix.IfInfomsg) *Message {
	m.buf = append(m.buf, h.Family, 0)
	m.buf = native.AppendUint16(m.buf, h.Type)
	m.buf = native.AppendUint32(m.buf, uint32(h.Index))
	m.buf = native.AppendUint32(m.buf, h.Flags)
	m.buf = native.AppendUint32(m.buf, h.Change)
	return m
}

// AddrHeader adds the header of a message about an address.
func (m *Message) AddrHeader(h unix.IfAddrmsg) *Message {
	m.buf = append(m.buf, h.Family, h.Prefixlen, h.Flags, h.Scope)
	m.buf = native.AppendUint32(m.buf, h.Index)
	return m
}

// NeighHeader adds the header of a message about a neighbour or an entry of an FDB.
func (m *Message) NeighHeader(h unix.NdMsg) *Message {
	m.buf = append(m.buf, h.Family, 0, 0, 0)
	m.buf = native.AppendUint32(m.buf, uint32(h.Ifindex))
	m.buf = native.AppendUint16(m.buf, h.State)
	m.buf = append(m.buf, h.Flags, h.Type)
	return m
}

// RouteHeader adds the header of a message about a route or a policy rule.
func (m *Message) RouteHeader(h unix.RtMsg) *Message {
	m.buf = append(m.buf, h.Family, h.Dst_len, h.Src_len, h.Tos, h.Table, h.Protocol, h.Scope, h.Type)
	m.buf = native.AppendUint32(m.buf, h.Flags)
	return m
}

// NetfilterHeader adds the header of a message to netfilter. resource is the subsystem of a
// transaction's beginning and end, and 0 otherwise.
func (m *Message) NetfilterHeader(f Family, resource uint16) *Message {
	m.buf = append(m.buf, uint8(f), unix.NFNETLINK_V0)
	m.buf = binary.BigEndian.AppendUint16(m.buf, resource)
	return m
}

// Raw adds bytes that are no attribute, such as a header, or attributes that are encoded already.
func (m *Message) Raw(b ...byte) *Message {
	m.buf = append(m.buf, b...)
	return m
}

// Bytes adds an attribute.
func (m *Message) Bytes(typ uint16, value []byte) *Message {
	m.buf = AppendAttribute(m.buf, typ, value)
	return m
}

// IP adds an address.
func (m *Message) IP(typ uint16, a netip.Addr) *Message {
	if a.Is4() {
		b := a.As4()
		return m.Bytes(typ, b[:])
	}
	b := a.As16()
	return m.Bytes(typ, b[:])
}

// String adds a text that ends with a zero byte.
func (m *Message) String(typ uint16, value string) *Message {
	return m.Bytes(typ, append([]byte(value), 0))
}

// Uint32 adds a number in the machine's order of bytes.
func (m *Message) Uint32(typ uint16, value uint32) *Message {
	return m.Bytes(typ, native.AppendUint32(make([]byte, 0, 4), value))
}

// NetUint32 adds a number in the network's order of bytes, as netfilter has them.
func (m *Message) NetUint32(typ uint16, value uint32) *Message {
	return m.Bytes(typ, binary.BigEndian.AppendUint32(make([]byte, 0, 4), value))
}

// NetUint64 adds a number in the network's order of bytes.
func (m *Message) NetUint64(typ uint16, value uint64) *Message {
	return m.Bytes(typ, binary.BigEndian.AppendUint64(make([]byte, 0, 8), value))
}

// Uint16 adds a number in the machine's order of bytes.
func (m *Message) Uint16(typ, value uint16) *Message {
	return m.Bytes(typ, native.AppendUint16(make([]byte, 0, 2), value))
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

// Nest adds an attribute whose content is what f adds.
func (m *Message) Nest(typ uint16, f func(*Message)) *Message {
	start := len(m.buf)
	m.Bytes(typ|unix.NLA_F_NESTED, nil)
	f(m)
	native.PutUint16(m.buf[start:], uint16(len(m.buf)-start))
	return m
}
