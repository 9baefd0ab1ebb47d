package probe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// The layout of an ARP message for Ethernet and IPv4, behind the Ethernet header.
const (
	arpLen       = 28
	arpOperation = 6
	arpSender    = 8
	arpSenderIP  = 14
	arpTargetIP  = 24
	arpRequest   = 1
	arpReply     = 2

	etherTypeAt = 12
	claimProbes = 3
)

// Claims asks on a link, by ARP, who has an IPv4 address, and returns the MACs that answer within
// the time. The requests are probes in the sense of RFC 5227: their sender's address is 0.0.0.0, so
// that nobody remembers anything of them. The kernel of the calling thread's network namespace,
// which may have the address too, does not see them, and is not among the answers.
func Claims(link *net.Interface, addr netip.Addr, patience time.Duration) ([]net.HardwareAddr, error) {
	arp := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ARP >> 8, unix.ETH_P_ARP & 0xff}) // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	file := os.NewFile(uintptr(fd), "packet")
	defer file.Close() // it holds nothing
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: arp, Ifindex: link.Index}); err != nil {
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	var macs []net.HardwareAddr
	frame, buf := arpProbe(link.HardwareAddr, addr), make([]byte, 1<<10)
	for range claimProbes {
		if _, err := file.Write(frame); err != nil {
			return nil, fmt.Errorf("ask by ARP: %w", err)
		}
		if err := file.SetReadDeadline(time.Now().Add(patience / claimProbes)); err != nil {
			return nil, fmt.Errorf("packet socket: %w", err)
		}
		for {
			n, err := file.Read(buf)
			if err != nil {
				break // nothing more came in time
			}
			mac := claimIn(buf[:n], addr)
			if mac != nil && !slices.ContainsFunc(macs, func(m net.HardwareAddr) bool { return bytes.Equal(m, mac) }) {
				macs = append(macs, mac)
			}
		}
	}
	return macs, nil
}

// arpProbe is a broadcast frame that asks who has an address.
func arpProbe(from net.HardwareAddr, addr netip.Addr) []byte {
	frame := slices.Concat([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, from,
		[]byte{unix.ETH_P_ARP >> 8, unix.ETH_P_ARP & 0xff},
		[]byte{0, 1, unix.ETH_P_IP >> 8, unix.ETH_P_IP & 0xff, 6, 4, 0, arpRequest}, from, make([]byte, arpLen-arpSenderIP))
	copy(frame[etherLen+arpTargetIP:], addr.AsSlice())
	return frame
}

// claimIn returns the MAC that an ARP reply gives for an address; nil: the frame is something else.
func claimIn(frame []byte, addr netip.Addr) net.HardwareAddr {
	if len(frame) < etherLen+arpLen || binary.BigEndian.Uint16(frame[etherTypeAt:]) != unix.ETH_P_ARP {
		return nil
	}
	m := frame[etherLen:]
	sender, _ := netip.AddrFromSlice(m[arpSenderIP : arpSenderIP+4])
	if binary.BigEndian.Uint16(m[arpOperation:]) != arpReply || sender != addr {
		return nil
	}
	return slices.Clone(net.HardwareAddr(m[arpSender:arpSenderIP]))
}
