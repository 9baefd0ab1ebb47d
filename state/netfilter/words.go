package netfilter

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// ParseWords reads a rule of a table of family f in the words in which nft lists it. It knows the
// words that podnet's own rules are made of: iifname, oifname, iifgroup, oifgroup, ip and ip6 saddr
// and daddr with a network or a set, meta nfproto, udp dport, @th (a field of the transport
// header), fib saddr . iif oif missing, icmpv6 type, iifname . ether saddr and so on with a set, and
// the verdicts accept, drop, return and masquerade. The expressions are those that nft makes of the
// same words, or do the same, so that nft lists them as such.
func ParseWords(f netlink.Family, text string) (*Expressions, error) {
	w := words{family: f, rest: strings.Fields(text), x: new(Expressions)}
	for len(w.rest) > 0 && w.err == nil {
		w.statement()
	}
	if w.err != nil {
		return nil, fmt.Errorf("rule %q: %w", text, w.err)
	}
	return w.x, nil
}

// words is a rule that is being read.
type words struct {
	family netlink.Family
	rest   []string
	x      *Expressions
	err    error

	asked    netlink.Family // that the rule has asked for so far; 0: none
	protocol uint8          // likewise
}

func (w *words) next() string {
	if len(w.rest) == 0 {
		w.fail("it ends too early")
		return ""
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return strings.Trim(word, `"`)
}

func (w *words) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// skip takes the words that come next.
func (w *words) skip(expected ...string) {
	for _, word := range expected {
		if got := w.next(); got != word {
			w.fail("%q stands where %q is expected", got, word)
		}
	}
}

// operator takes "!=" if it comes next.
func (w *words) operator() uint32 {
	if len(w.rest) > 0 && w.rest[0] == "!=" {
		w.rest = w.rest[1:]
		return unix.NFT_CMP_NEQ
	}
	return unix.NFT_CMP_EQ
}

func (w *words) number(bits int) uint64 {
	word := w.next()
	n, err := strconv.ParseUint(word, 0, bits)
	if err != nil {
		w.fail("%q is no number of %d bits", word, bits)
	}
	return n
}

func (w *words) statement() {
	switch word := w.next(); word {
	case "iifname":
		if len(w.rest) > 0 && w.rest[0] == "." {
			w.concatenation()
		} else {
			w.device(unix.NFT_META_IIFNAME)
		}
	case "oifname":
		w.device(unix.NFT_META_OIFNAME)
	case "iifgroup":
		w.group(unix.NFT_META_IIFGROUP)
	case "oifgroup":
		w.group(unix.NFT_META_OIFGROUP)
	case "ip":
		w.address(netlink.IPv4)
	case "ip6":
		w.address(netlink.IPv6)
	case "meta":
		w.skip("nfproto")
		f := netlink.IPv4
		if w.next() == "ipv6" {
			f = netlink.IPv6
		}
		w.needFamily(f)
	case "udp":
		w.skip("dport")
		w.needProtocol(unix.IPPROTO_UDP)
		w.x.Port(uint16(w.number(16)))
	case "fib":
		w.skip("saddr", ".", "iif", "oif", "missing")
		w.x.noWayBack()
	case "icmpv6":
		w.skip("type")
		w.icmpv6(w.next())
	case "accept":
		w.x.Accept()
	case "drop":
		w.x.Drop()
	case "return":
		w.x.Return()
	case "masquerade":
		w.skip("fully-random")
		w.x.masqueradeFullyRandom()
	default:
		w.field(word)
	}
}

// icmpv6 asks for a type of ICMPv6's messages by nft's name for it.
func (w *words) icmpv6(name string) {
	number, known := map[string]byte{
		"mld-listener-report": 131, "mld-listener-done": 132, "mld2-listener-report": 143,
		"nd-router-advert": 134, "nd-neighbor-solicit": 135, "nd-neighbor-advert": 136,
	}[name]
	if !known {
		w.fail("%q is no type of ICMPv6 that podnet knows", name)
		return
	}
	if w.family == Bridge {
		w.needFamily(netlink.IPv6)
	}
	w.needProtocol(unix.IPPROTO_ICMPV6)
	w.x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1).compare(unix.NFT_CMP_EQ, []byte{number})
}

// headerField is a part of a packet that a concatenation can have behind the device.
type headerField struct {
	base, offset uint32
	size         int
	of           netlink.Family // of the packets that have it; 0: all
}

func headerFields() map[string]headerField {
	four, six := addressOffsets[4].source, addressOffsets[16].source
	return map[string]headerField{
		"ether saddr":     {unix.NFT_PAYLOAD_LL_HEADER, senderOffset, 6, 0},
		"ip saddr":        {unix.NFT_PAYLOAD_NETWORK_HEADER, four, 4, netlink.IPv4},
		"ip6 saddr":       {unix.NFT_PAYLOAD_NETWORK_HEADER, six, 16, netlink.IPv6},
		"arp saddr ether": {unix.NFT_PAYLOAD_NETWORK_HEADER, 8, 6, arp},
		"arp saddr ip":    {unix.NFT_PAYLOAD_NETWORK_HEADER, 14, 4, arp},
		"@th,64,128":      {unix.NFT_PAYLOAD_TRANSPORT_HEADER, 8, 16, 0}, // of neighbour discovery its target
	}
}

// concatenation reads the fields behind iifname, and the set that all of them together are to be an
// element of. In the registers each begins with a word of four bytes.
func (w *words) concatenation() {
	var fields []headerField
	for len(w.rest) > 0 && w.rest[0] == "." {
		w.next()
		name := w.next()
		for len(w.rest) > 0 && !slices.Contains([]string{".", "!="}, w.rest[0]) && w.rest[0][0] != '@' {
			name += " " + w.next()
		}
		field, known := headerFields()[name]
		if !known {
			w.fail("%q is no field that podnet knows", name)
			return
		}
		if field.of != 0 {
			w.needFamily(field.of)
		}
		fields = append(fields, field)
	}
	w.x.meta(unix.NFT_META_IIFNAME)
	at := uint32(unix.IFNAMSIZ / 4)
	for _, f := range fields {
		w.x.load(registerAt(at), f.base, f.offset, f.size)
		at += uint32(f.size+3) / 4
	}
	op := w.operator()
	set, is := strings.CutPrefix(w.next(), "@")
	if !is {
		w.fail("a set is expected behind fields")
	}
	w.x.lookup(set, op == unix.NFT_CMP_NEQ)
}

func (w *words) device(key uint32) {
	op, name := w.operator(), w.next()
	if len(name) >= unix.IFNAMSIZ {
		w.fail("%q is no name of a device", name)
		return
	}
	w.x.meta(key).compare(op, append([]byte(name), make([]byte, unix.IFNAMSIZ-len(name))...))
}

func (w *words) group(key uint32) {
	op := w.operator()
	w.x.meta(key).compare(op, binary.NativeEndian.AppendUint32(nil, uint32(w.number(32))))
}

// field reads @th,OFFSET,LENGTH and a number: bits of the transport header.
func (w *words) field(word string) {
	var offset, length uint32
	if n, err := fmt.Sscanf(word, "@th,%d,%d", &offset, &length); n != 2 || err != nil ||
		offset%8 != 0 || length%8 != 0 || length == 0 || length > 64 {
		w.fail("%q is no word that podnet knows", word)
		return
	}
	op := w.operator()
	value := binary.BigEndian.AppendUint64(nil, w.number(int(length)))
	w.x.payload(unix.NFT_PAYLOAD_TRANSPORT_HEADER, offset/8, int(length/8)).compare(op, value[8-length/8:])
}

// address reads saddr or daddr, and a network or the name of a set behind an at sign.
func (w *words) address(f netlink.Family) {
	size := 4
	if f == netlink.IPv6 {
		size = 16
	}
	offset := addressOffsets[size].source
	switch word := w.next(); word {
	case "saddr":
	case "daddr":
		offset = addressOffsets[size].destination
	default:
		w.fail("%q is no address", word)
	}
	op, word := w.operator(), w.next()
	w.needFamily(f)
	if set, is := strings.CutPrefix(word, "@"); is {
		w.x.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, size).lookup(set, op == unix.NFT_CMP_NEQ)
		return
	}
	p, err := netip.ParsePrefix(word)
	if a, single := netip.ParseAddr(word); single == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || p.Addr().BitLen() != 8*size || p.Bits() == 0 {
		w.fail("%q is no network of %s", word, map[int]string{4: "IPv4", 16: "IPv6"}[size])
		return
	}
	w.x.address(offset, p, op)
}

// needFamily asks for an address family, once. A table of one family has no other packets.
func (w *words) needFamily(f netlink.Family) {
	if w.asked == f {
		return
	}
	w.asked = f
	switch w.family {
	case Inet:
		w.x.Family(f)
	case Bridge:
		etherType := map[netlink.Family]uint16{netlink.IPv4: unix.ETH_P_IP, netlink.IPv6: unix.ETH_P_IPV6, arp: unix.ETH_P_ARP}[f]
		w.x.payload(unix.NFT_PAYLOAD_LL_HEADER, 12, 2).compare(unix.NFT_CMP_EQ, binary.BigEndian.AppendUint16(nil, etherType))
	}
}

func (w *words) needProtocol(number uint8) {
	if w.protocol != number {
		w.protocol = number
		w.x.Protocol(number)
	}
}

// arp is the family of the address resolution protocol.
const arp netlink.Family = unix.NFPROTO_ARP

// lookup asks for what was loaded last to be an element of a set, or, inverted, to be none.
func (x *Expressions) lookup(set string, inverted bool) *Expressions {
	return x.add("lookup", func(m *netlink.Message) {
		m.String(unix.NFTA_LOOKUP_SET, set).NetUint32(unix.NFTA_LOOKUP_SREG, register)
		if inverted {
			m.NetUint32(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV)
		}
	})
}

// noWayBack asks for a packet whose source this host would not reach by the device that the packet
// came in by.
func (x *Expressions) noWayBack() *Expressions {
	const source, device, present = 1 << 0, 1 << 3, 1 << 5 // NFTA_FIB_F_SADDR, NFTA_FIB_F_IIF, NFTA_FIB_F_PRESENT
	x.add("fib", numbers(unix.NFTA_FIB_DREG, register, unix.NFTA_FIB_RESULT, unix.NFT_FIB_RESULT_OIF,
		unix.NFTA_FIB_FLAGS, source|device|present))
	return x.compare(unix.NFT_CMP_EQ, make([]byte, 4))
}

// masqueradeFullyRandom is Masquerade with a random port for each connection.
func (x *Expressions) masqueradeFullyRandom() *Expressions {
	const fullyRandom = 1 << 4 // NF_NAT_RANGE_PROTO_RANDOM_FULLY
	return x.add("masq", numbers(unix.NFTA_MASQ_FLAGS, fullyRandom))
}
