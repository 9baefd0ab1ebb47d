package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
)

// setNeighbours tells the host the pod's MAC address, so that it neither asks nor believes what it knew of the address's
// previous owner. With leases of this node the entry is permanent, which the kernel does not count against its limits, as
// a DEL finds the addresses again whatever it is given. With another IPAM it is one that goes by itself.
func setNeighbours(h *netlink.Handle, br *netlink.Bridge, c *config, a *addressing, mac net.HardwareAddr) error {
	lasting := netlink.NUD_STALE
	if c.IPAM.Type == hostlocal.Type {
		lasting = netlink.NUD_PERMANENT
	}
	for _, addr := range a.addrs {
		n := neighbour(br, addr.prefix.Addr())
		n.State, n.HardwareAddr = lasting, mac
		if err := h.NeighSet(n); err != nil {
			return fmt.Errorf("neighbour %s on %s: %w", n.IP, br.Name, err)
		}
	}
	return nil
}

// dropNeighbours removes the entries; those that are gone are no error.
func dropNeighbours(h *netlink.Handle, br *netlink.Bridge, addrs []netip.Addr) error {
	var errs error
	for _, a := range addrs {
		if err := h.NeighDel(neighbour(br, a)); err != nil && !errors.Is(err, unix.ENOENT) {
			errs = errors.Join(errs, fmt.Errorf("neighbour %s on %s: %w", a, br.Name, err))
		}
	}
	return errs
}

func neighbour(br *netlink.Bridge, a netip.Addr) *netlink.Neigh {
	family := netlink.FAMILY_V6
	if a.Is4() {
		family = netlink.FAMILY_V4
	}
	return &netlink.Neigh{LinkIndex: br.Index, Family: family, IP: a.AsSlice()}
}
