package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// made names the object that an announcement says is there as podnet makes it: "route
// 10.128.0.64/26", "fdb MAC" and so on; "" for everything else, such as what goes away.
func made(m syscall.NetlinkMessage) string {
	switch m.Header.Type {
	case unix.RTM_NEWROUTE:
		return madeRoute(m)
	case unix.RTM_NEWNEIGH:
		return madeNeigh(m)
	case unix.RTM_NEWADDR:
		a := attributes(m.Data[unix.SizeofIfAddrmsg:])
		ip := a[unix.IFA_LOCAL]
		if ip == nil {
			ip = a[unix.IFA_ADDRESS]
		}
		return fmt.Sprintf("addr %s/%d", address(ip), m.Data[1])
	case unix.RTM_NEWLINK:
		up := binary.NativeEndian.Uint32(m.Data[8:])&unix.IFF_UP != 0
		if up && m.Data[0] == unix.AF_UNSPEC {
			return "link " + unix.ByteSliceToString(attributes(m.Data[unix.SizeofIfInfomsg:])[unix.IFLA_IFNAME])
		}
	case unix.RTM_NEWNETCONF:
		return madeNetconf(m)
	}
	return ""
}

func madeRoute(m syscall.NetlinkMessage) string {
	const protocol = 5 // offset in struct rtmsg
	if m.Data[protocol] != routeProtocol {
		return ""
	}
	return fmt.Sprintf("route %s/%d", address(attributes(m.Data[unix.SizeofRtMsg:])[unix.RTA_DST]), m.Data[1])
}

func madeNeigh(m syscall.NetlinkMessage) string {
	if binary.NativeEndian.Uint16(m.Data[8:])&unix.NUD_PERMANENT == 0 {
		return "" // the farewell of one that is being deleted
	}
	a := attributes(m.Data[unix.SizeofNdMsg:])
	if m.Data[0] == unix.AF_BRIDGE {
		return fmt.Sprintf("fdb %s", net.HardwareAddr(a[unix.NDA_LLADDR]))
	}
	return fmt.Sprintf("neigh %s", address(a[unix.NDA_DST]))
}

// madeNetconf: that IPv4 is forwarded, on all links.
func madeNetconf(m syscall.NetlinkMessage) string {
	const netconfLen, index, forwarding = 4, 1, 2 // sizeof(struct netconfmsg), NETCONFA_IFINDEX, NETCONFA_FORWARDING
	a := attributes(m.Data[netconfLen:])
	if m.Data[0] != unix.AF_INET || len(a[index]) != 4 || int32(binary.NativeEndian.Uint32(a[index])) != -1 ||
		len(a[forwarding]) != 4 {
		return ""
	}
	return fmt.Sprintf("ip_forward %d", binary.NativeEndian.Uint32(a[forwarding]))
}

// attributes are a message's, by type.
func attributes(b []byte) map[uint16][]byte {
	found := map[uint16][]byte{}
	for len(b) >= unix.SizeofRtAttr {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtAttr || size > len(b) {
			break
		}
		found[binary.NativeEndian.Uint16(b[2:])] = b[unix.SizeofRtAttr:size]
		b = b[min((size+unix.RTA_ALIGNTO-1)&^(unix.RTA_ALIGNTO-1), len(b)):]
	}
	return found
}

func address(b []byte) netip.Addr {
	a, _ := netip.AddrFromSlice(b)
	return a
}
