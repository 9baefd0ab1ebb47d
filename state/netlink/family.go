package netlink

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// Family is an address family, by the number that the kernel gives it in routing and in netfilter.
type Family uint8

// The families of addresses.
const (
	IPv4 Family = unix.AF_INET
	IPv6 Family = unix.AF_INET6
)

// FamilyOf returns the family of an address.
func FamilyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// FamilyOfVersion returns the family of IP version 4 or 6.
func FamilyOfVersion(version uint8) Family {
	if version == 6 {
		return IPv6
	}
	return IPv4
}
