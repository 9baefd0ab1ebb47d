package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Advertise sends one router advertisement out of a link, when that has a link-local address to
// send it from: whoever believes it gets a default route over the link that it came in by.
func (ns *Namespace) Advertise(link string) error {
	return ns.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		addrs, err := i.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addrs {
			if ip, err := netip.ParsePrefix(a.String()); err == nil && ip.Addr().Is6() && ip.Addr().IsLinkLocalUnicast() {
				return advertise(ip.Addr(), i.Index)
			}
		}
		return fmt.Errorf("%s of %s has no link-local address", link, ns.Name)
	})
}

func advertise(from netip.Addr, link int) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	const hops = 255 // of no less anybody believes one
	return errors.Join(
		unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops),
		unix.Bind(fd, &unix.SockaddrInet6{Addr: from.As16(), ZoneId: uint32(link)}), // refused while it is tentative
		unix.Sendto(fd, advertisement(), 0, &unix.SockaddrInet6{Addr: allNodes().As16(), ZoneId: uint32(link)}),
	)
}

// AdvertiseInTunnel sends a router advertisement wrapped in VXLAN to a node, as if it came from
// another one's tunnel.
func (ns *Namespace) AdvertiseInTunnel(to netip.AddrPort, vni uint32) error {
	from, ra := netip.MustParseAddr("fe80::66"), advertisement()
	binary.BigEndian.PutUint16(ra[2:], checksum(from, allNodes(), ra))
	b := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, vni<<8)
	b = append(b, 0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x66, 0x86, 0xdd, 6<<4, 0, 0, 0, 0, byte(len(ra)),
		unix.IPPROTO_ICMPV6, 255)
	b = append(append(append(b, from.AsSlice()...), allNodes().AsSlice()...), ra...)
	return ns.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(b)
		return err
	})
}

func allNodes() netip.Addr { return netip.MustParseAddr("ff02::1") }

// advertisement is an ICMPv6 message without a checksum: a router for half an hour, of high
// preference.
func advertisement() []byte {
	return []byte{134, 0, 0, 0, 64, 0x08, 1800 >> 8, 1800 & 0xff, 0, 0, 0, 0, 0, 0, 0, 0}
}

// checksum is ICMPv6's.
func checksum(from, to netip.Addr, message []byte) uint16 {
	b := append(append(from.AsSlice(), to.AsSlice()...), 0, 0, 0, byte(len(message)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	return onesComplement(append(b, message...))
}

// onesComplement is the Internet checksum.
func onesComplement(b []byte) uint16 {
	sum := uint32(0)
	for b = append(b, 0); len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	sum = sum>>16 + sum&0xffff
	return ^uint16(sum + sum>>16)
}
