package schema

import (
	"crypto/sha256"
	"net"
)

// MAC is an Ethernet address that can be compared; the zero value means none.
type MAC [6]byte

func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// DeriveVTEPMAC is the VTEP MAC of a node whose entry names none: every node computes it alike, so
// nodes exchange nothing. cluster is metadata.name.
func DeriveVTEPMAC(cluster, node string) MAC {
	return deriveMAC(cluster + "\x00" + node)
}

// DeriveBridgeMAC is the MAC of a node's bridge: the same after the bridge is made anew, so that
// the gateway entries of live pods stay right.
func DeriveBridgeMAC(cluster, node string) MAC {
	return deriveMAC(cluster + "\x00" + node + "\x00bridge")
}

func deriveMAC(seed string) MAC {
	sum := sha256.Sum256([]byte(seed))
	mac := MAC(sum[:6])
	mac[0] = mac[0]&^1 | 2 // unicast, locally administered
	return mac
}
