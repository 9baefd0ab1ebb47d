package bridge

import (
	"encoding/binary"
	"math/rand/v2"
	"net"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

func parseMAC(text string) (net.HardwareAddr, error) {
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 || mac[0]&1 != 0 || [6]byte(mac) == [6]byte{} {
		return nil, protocol.Errorf(protocol.CodeConfig,
			"%q is not the MAC address of an interface (six bytes, not multicast, not all zero)",
			text)
	}
	return mac, nil
}

// portMAC returns an address for the host's end of a pair. No MAC of another maker is higher: a
// bridge whose MAC nobody has set takes the lowest of its ports', and pods that remember the
// former one lose their gateway.
func portMAC() net.HardwareAddr {
	mac := randomMAC()
	mac[0] = 0xfe
	return mac
}

// randomMAC returns an address that is locally administered and not multicast. The kernel would
// make one too, but tools believe that they may change an address that the kernel made.
func randomMAC() net.HardwareAddr {
	b := binary.BigEndian.AppendUint64(nil, rand.Uint64())[:6]
	b[0] = b[0]&^1 | 2
	return b
}
