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
	b = append(append(b, mac[:]...), 2, 0, 0, 0, 0, 0x66, 8, 0)
	const header, udp = 20, 8
	ip := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(header+udp+len(f.Text)))
	ip = append(ip, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0)
	ip = append(append(ip, f.From.Addr().AsSlice()...), f.To.Addr().AsSlice()...)
	sum := uint32(0)
	for i := 0; i < header; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(ip[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(ip[10:], ^uint16(sum+sum>>16))
	b = append(b, ip...)
	b = binary.BigEndian.AppendUint16(b, f.From.Port())
	b = binary.BigEndian.AppendUint16(b, f.To.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udp+len(f.Text)))
	return append(append(b, 0, 0), f.Text...)
}
