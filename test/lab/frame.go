package lab

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Frame is an Ethernet frame of a pod's making.
type Frame struct {
	From, To net.HardwareAddr
	Type     uint16
	Payload  []byte
}

// Encode returns the frame's bytes.
func (f Frame) Encode() []byte {
	b := append(append([]byte{}, f.To...), f.From...)
	return append(binary.BigEndian.AppendUint16(b, f.Type), f.Payload...)
}

// Tagged is the frame with a VLAN's tag.
func (f Frame) Tagged(vlan uint16) Frame {
	tag := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, vlan), f.Type)
	return Frame{f.From, f.To, unix.ETH_P_8021Q, append(tag, f.Payload...)}
}

// ARP is what asks for an address, or answers.
func ARP(operation uint16, mac net.HardwareAddr, sender, target netip.Addr) []byte {
	b := binary.BigEndian.AppendUint16([]byte{0, 1, 8, 0, 6, 4}, operation)
	b = append(append(b, mac...), sender.AsSlice()...)
	return append(append(b, 0, 0, 0, 0, 0, 0), target.AsSlice()...)
}

// UDP is a datagram in a packet of the addresses' family.
func UDP(from, to netip.Addr, text string) []byte {
	f := Forgery{From: netip.AddrPortFrom(from, 53), To: netip.AddrPortFrom(to, 53), Text: text}
	if from.Is6() {
		return f.ipv6()
	}
	return f.ipv4()
}

// ICMPv6 is a message, behind an extension header if that is not 0: hop-by-hop, destination options
// or fragment, of eight bytes each.
func ICMPv6(from, to netip.Addr, extension, typ byte, body []byte) []byte {
	message := append([]byte{typ, 0, 0, 0}, body...)
	pseudo := append(append(from.AsSlice(), to.AsSlice()...), 0, 0, 0, byte(len(message)), 0, 0, 0, unix.IPPROTO_ICMPV6)
	binary.BigEndian.PutUint16(message[2:], onesComplement(append(pseudo, message...)))
	next := byte(unix.IPPROTO_ICMPV6)
	switch extension {
	case 0:
	case unix.IPPROTO_FRAGMENT:
		message = append([]byte{next, 0, 0, 0, 0, 0, 0, 1}, message...)
		next = extension
	default: // with a router alert, and padded
		message = append([]byte{next, 0, 5, 2, 0, 0, 1, 0}, message...)
		next = extension
	}
	b := []byte{6 << 4, 0, 0, 0, 0, byte(len(message)), next, 255}
	return append(append(append(b, from.AsSlice()...), to.AsSlice()...), message...)
}

// Sniffer reads the frames that come in by a link of a namespace.
type Sniffer struct{ fd int }

// Sniff begins to listen, until Close.
func (ns *Namespace) Sniff(link string) (*Sniffer, error) {
	s := &Sniffer{-1}
	err := ns.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
		if s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all)); err != nil {
			return err
		}
		return unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: i.Index, Protocol: all})
	})
	return s, err
}

// Close ends it.
func (s *Sniffer) Close() { unix.Close(s.fd) }

// Next returns the next frame that comes within so much time; nil: none has.
func (s *Sniffer) Next(within time.Duration) ([]byte, error) {
	deadline := time.Now().Add(within)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}, int(max(0, time.Until(deadline)).Milliseconds()))
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || n == 0 {
			return nil, err
		}
		frame := make([]byte, 2048)
		n, _, err = unix.Recvfrom(s.fd, frame, 0)
		return frame[:n], err
	}
}
