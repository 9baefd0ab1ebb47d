package inspect

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/inspect/probe"
	"github.com/podnet/podnet/state/kernel"
	"golang.org/x/sys/unix"
)

// claimPatience bounds how long other hosts have to answer: on a link of a data centre it takes a
// millisecond.
const claimPatience = 300 * time.Millisecond

// Claim is an address of this host that other hosts of its link have too, such as a machine that
// was cloned with its disk.
type Claim struct {
	IP     netip.Addr
	Device string
	MAC    net.HardwareAddr   // this host's
	Others []net.HardwareAddr // who answers for the address as well
}

// FindClaim asks on a link who else has an address of this host. A link that speaks no ARP, and an
// IPv6 address, whose duplicates the kernel finds by itself, are claimed by nobody.
func FindClaim(n *kernel.Node, device string, ip netip.Addr) (Claim, error) {
	c := Claim{IP: ip, Device: device}
	l := n.Links[device]
	if l == nil || !ip.Is4() || l.Attrs().RawFlags&(unix.IFF_LOOPBACK|unix.IFF_NOARP) != 0 ||
		len(l.Attrs().HardwareAddr) != len(state.MAC{}) {
		return c, nil
	}
	c.MAC = l.Attrs().HardwareAddr
	macs, err := probe.Claims(&net.Interface{Index: l.Attrs().Index, HardwareAddr: c.MAC}, ip, claimPatience)
	if err != nil {
		return c, fmt.Errorf("%s: %w", device, err)
	}
	for _, mac := range macs {
		if !hasMAC(n, mac) { // a second link of this host in the same network answers too
			c.Others = append(c.Others, mac)
		}
	}
	return c, nil
}

func hasMAC(n *kernel.Node, mac net.HardwareAddr) bool {
	for _, l := range n.Links {
		if slices.Equal(l.Attrs().HardwareAddr, mac) {
			return true
		}
	}
	return false
}
