package netfilter

import (
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
)

// SenderSets are the sets of what pods may send from, by the family of their addresses.
func SenderSets() map[netlink.Family]Set {
	return map[netlink.Family]Set{
		netlink.IPv4: {Family: Bridge, Table: device.OwnTable, Name: device.SendersIPv4},
		netlink.IPv6: {Family: Bridge, Table: device.OwnTable, Name: device.SendersIPv6},
	}
}

// SenderKeys are what the sets have for the pod behind a host veth.
func SenderKeys(veth string, mac [6]byte, given ...netip.Addr) map[netlink.Family][][]byte {
	keys := map[netlink.Family][][]byte{}
	for _, a := range device.MaySend(mac, given...) {
		f := netlink.FamilyOf(a)
		keys[f] = append(keys[f], Sender{veth, mac, a}.Key())
	}
	return keys
}

// SenderKey is nft's ifname . ether_addr . ipv4_addr, or the same with ipv6_addr: see Sender.
func SenderKey(f netlink.Family) KeyType {
	const name, ether = 41, 9 // ifname, ether_addr
	addr := AddrKey(f)
	return KeyType{(name<<6|ether)<<6 | addr.number, unix.IFNAMSIZ + etherField + addr.size}
}

// etherField is the size of an Ethernet address in a concatenation, whose fields are whole words.
const etherField = 8

// Sender is a key of a set of SenderKey: a device, the Ethernet address that frames come from, and
// the address of IPv4 or IPv6 that they carry.
type Sender struct {
	Device string
	MAC    [6]byte
	Addr   netip.Addr
}

// Key is the sender as the kernel takes it.
func (s Sender) Key() []byte {
	key := make([]byte, unix.IFNAMSIZ+etherField)
	copy(key, s.Device)
	copy(key[unix.IFNAMSIZ:], s.MAC[:])
	return append(key, s.Addr.AsSlice()...)
}

// ParseSender reads what Key writes. It reports false for anything else.
func ParseSender(key []byte) (s Sender, ok bool) {
	const head = unix.IFNAMSIZ + etherField
	if len(key) < head {
		return s, false
	}
	s.Device, s.MAC = netlink.Text(key[:unix.IFNAMSIZ]), [6]byte(key[unix.IFNAMSIZ:])
	s.Addr, ok = netip.AddrFromSlice(key[head:])
	return s, ok
}
