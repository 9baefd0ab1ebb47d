package device

import "net/netip"

// The sets of nftables, in podnet's table of family bridge, of what pods may send from: host veth,
// MAC address and address.
const (
	SendersIPv4 = "pod-senders4"
	SendersIPv6 = "pod-senders6"
)

// OwnTable is the name of podnet's tables of nftables, whatever their family.
const OwnTable = "podnet"

// MaySend returns the addresses that a pod with this MAC address may send from: those that it was
// given, the link-local one that the kernel makes of the MAC, and the unspecified ones, which a
// question for an address's owner comes from.
func MaySend(mac [6]byte, given ...netip.Addr) []netip.Addr {
	return append([]netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified(), LinkLocal(mac)}, given...)
}

// LinkLocal is the IPv6 address that EUI-64 makes of a MAC.
func LinkLocal(mac [6]byte) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80,
		8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5],
	})
}
