package schema

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The smallest pod ranges: network address, gateway and one pod.
const (
	smallestIPv4 = 30
	smallestIPv6 = 126
)

// reserved are the ranges that are no host's and no pod's address on a network.
var reserved = [...]struct {
	prefix netip.Prefix
	what   string
}{
	{netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 8), "an unspecified"},
	{netip.PrefixFrom(netip.AddrFrom4([4]byte{127}), 8), "a loopback"},
	{netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254}), 16), "a link-local"},
	{netip.PrefixFrom(netip.AddrFrom4([4]byte{224}), 4), "a multicast"},
	{netip.PrefixFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), 32), "the broadcast"},
	{netip.PrefixFrom(netip.IPv6Unspecified(), 128), "an unspecified"},
	{netip.PrefixFrom(netip.IPv6Loopback(), 128), "a loopback"},
	{netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfe, 0x80}), 10), "a link-local"},
	{netip.PrefixFrom(netip.AddrFrom16([16]byte{0xff}), 8), "a multicast"},
}

// reservedFault says what is wrong with a range, empty: nothing.
func reservedFault(p netip.Prefix) string {
	for _, r := range reserved {
		switch {
		case !r.prefix.Overlaps(p):
		case p.IsSingleIP():
			return " is " + r.what + " address"
		case p.Bits() >= r.prefix.Bits():
			return " holds " + strings.TrimPrefix(strings.TrimPrefix(r.what, "an "), "a ") + " addresses"
		default:
			return " contains " + r.prefix.String() + ", " + strings.TrimPrefix(strings.TrimPrefix(r.what, "an "), "a ") +
				" addresses"
		}
	}
	return ""
}

// address reads an underlay address; not valid after a fault.
func (r *reader) address(v value) netip.Addr {
	const remedy = "the node's IPv4 or IPv6 address"
	text, ok := r.text(v, remedy)
	if !ok {
		return netip.Addr{}
	}
	ip, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		r.wrong(v, show(text)+" is not an IP address", addressRemedy(text))
	case ip.Zone() != "":
		r.wrong(v, text+" has a zone", "an address that every node can reach, not a link-local one")
	case ip.Is4In6():
		r.wrong(v, text+" is an IPv4-mapped address", "write "+ip.Unmap().String())
	default:
		if fault := reservedFault(netip.PrefixFrom(ip, ip.BitLen())); fault != "" {
			r.wrong(v, text+fault, "an address of this node that the others can reach")
			break
		}
		return ip
	}
	return netip.Addr{}
}

// addressRemedy says why a text is no address.
func addressRemedy(text string) string {
	if address, _, ok := strings.Cut(text, "/"); ok {
		if ip, err := netip.ParseAddr(address); err == nil {
			return "without a prefix length: " + ip.String()
		}
	}
	if strings.Contains(text, ":") {
		return "an IPv4 or IPv6 address such as 192.0.2.11 or 2001:db8::11"
	}
	if strings.Trim(text, ".0123456789") != "" {
		return "write the address itself, names are not looked up"
	}
	parts := strings.Split(text, ".")
	for _, part := range parts {
		if n, err := strconv.Atoi(part); err == nil && n > 255 {
			return "each part is at most 255"
		}
		if len(part) > 1 && part[0] == '0' {
			return "without leading zeros, which some programs read as octal"
		}
	}
	return "four numbers with dots between them, such as 192.0.2.11"
}

// prefix reads a range. Host bits are a fault, and yet the range is told, for the checks against
// others; false: there is none.
func (r *reader) prefix(v value) (netip.Prefix, bool) {
	text, ok := r.text(v, "a range such as 10.244.0.0/16")
	if !ok {
		return netip.Prefix{}, false
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		r.wrong(v, show(text)+" is not a CIDR", prefixRemedy(text))
		return netip.Prefix{}, false
	case p.Addr().Is4In6():
		r.wrong(v, text+" is IPv4-mapped", mappedRemedy(p))
		return netip.Prefix{}, false
	case p.Masked() != p:
		r.wrong(v, text+" has host bits set", "write "+p.Masked().String())
	}
	return p.Masked(), true
}

func mappedRemedy(p netip.Prefix) string {
	if p.Bits() < 96 {
		return "an IPv4 or IPv6 range"
	}
	return "write " + netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Masked().String()
}

func prefixRemedy(text string) string {
	address, bits, ok := strings.Cut(text, "/")
	switch ip, err := netip.ParseAddr(address); {
	case strings.Contains(text, "%"):
		return "without a zone"
	case err != nil && ok:
		return addressRemedy(address)
	case err != nil:
		return "a range such as 10.244.1.0/24 or fd00:10:244:1::/64"
	case !ok && ip.Is4():
		return "with a prefix length, such as " + text + "/24"
	case !ok:
		return "with a prefix length, such as " + text + "/64"
	case strings.Contains(bits, "."):
		return "a prefix length after the slash, not a netmask"
	default:
		return "a prefix length from 0 to " + strconv.Itoa(ip.BitLen())
	}
}

// hostPrefix is prefix for ranges that pods get addresses from.
func (r *reader) hostPrefix(v value) (netip.Prefix, bool) {
	p, ok := r.prefix(v)
	if !ok {
		return p, false
	}
	if fault := reservedFault(p); fault != "" {
		r.wrong(v, p.String()+fault, "a private range such as 10.244.0.0/16 or fd00:10:244::/48")
		return netip.Prefix{}, false
	}
	return p, true
}

// mac reads an Ethernet address; the zero value after a fault.
func (r *reader) mac(v value) MAC {
	const remedy = "six pairs of hex digits such as 02:00:5e:10:00:01"
	text, ok := r.text(v, remedy)
	if !ok {
		return MAC{}
	}
	hw, err := net.ParseMAC(text)
	switch {
	case err != nil || len(hw) != 6:
		r.wrong(v, show(text)+" is not a MAC address", remedy)
	case len(text) != 17 || text[2] != ':':
		r.wrong(v, text+" is written another way", "write "+hw.String())
	case hw[0]&1 != 0:
		r.wrong(v, text+" is a multicast address", "the first byte must be even, such as 02:00:5e:10:00:01")
	case MAC(hw) == MAC{}:
		r.wrong(v, text+" is no device's address", `leave it out for the derived one`)
	default:
		return MAC(hw)
	}
	return MAC{}
}

func family(a netip.Addr) string {
	if a.Is4() {
		return "IPv4"
	}
	return "IPv6"
}
