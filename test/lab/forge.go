package lab

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/podnet/podnet/schema"
	"golang.org/x/sys/unix"
)

// Forgery is a datagram of IPv4 that comes out of a node's tunnel as if another node had sent it.
type Forgery struct {
	Node string // whose tunnel it is for
	VNI  uint32
	From netip.AddrPort
	To   netip.AddrPort
	Text string
}

// Forge sends the forgery from the namespace to an underlay address, wrapped as VXLAN has it. It
// takes no privilege.
func (ns *Namespace) Forge(to netip.AddrPort, f Forgery) error {
	return ns.Do(func() error {
		conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = conn.Write(f.encode())
		return err
	})
}

func (f Forgery) encode() []byte {
	mac := schema.DeriveVTEPMAC("lab", f.Node)
	b := binary.BigEndian.AppendUint32([]byte{8, 0, 0, 0}, f.VNI<<8)
	return append(b, f.frame(net.HardwareAddr(mac[:]))...)
}

// Inject sends the forgery as a frame from a link of the namespace, to an Ethernet address. It takes
// CAP_NET_RAW.
func (ns *Namespace) Inject(link string, to net.HardwareAddr, f Forgery) error {
	return ns.Emit(link, f.frame(to))
}

// Emit sends a frame from a link of the namespace as it is. It takes CAP_NET_RAW.
func (ns *Namespace) Emit(link string, frame []byte) error {
	return ns.Do(func() error {
		i, err := net.InterfaceByName(link)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index})
	})
}

// frame is the datagram in an Ethernet frame.
func (f Forgery) frame(to net.HardwareAddr) []byte {
	b := append(append([]byte{}, to...), 2, 0, 0, 0, 0, 0x66)
	if f.To.Addr().Is6() {
		return append(append(b, 0x86, 0xdd), f.ipv6()...)
	}
	return append(append(b, 8, 0), f.ipv4()...)
}

func (f Forgery) udp() []byte {
	b := binary.BigEndian.AppendUint16(nil, f.From.Port())
	b = binary.BigEndian.AppendUint16(b, f.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(f.Text)))
	return append(append(b, 0, 0), f.Text...)
}

func (f Forgery) ipv6() []byte {
	udp := f.udp()
	b := []byte{6 << 4, 0, 0, 0, 0, byte(len(udp)), unix.IPPROTO_UDP, 64}
	b = append(append(b, f.From.Addr().AsSlice()...), f.To.Addr().AsSlice()...)
	pseudo := append(append([]byte{}, b[8:]...), 0, 0, 0, byte(len(udp)), 0, 0, 0, unix.IPPROTO_UDP)
	binary.BigEndian.PutUint16(udp[6:], onesComplement(append(pseudo, udp...)))
	return append(b, udp...)
}

func (f Forgery) ipv4() []byte {
	const header, udp = 20, 8
	ip := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(header+udp+len(f.Text)))
	ip = append(ip, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
	ip = append(append(ip, f.From.Addr().AsSlice()...), f.To.Addr().AsSlice()...)
	binary.BigEndian.PutUint16(ip[10:], onesComplement(ip))
	return append(ip, f.udp()...)
}
