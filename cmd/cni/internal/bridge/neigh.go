package bridge

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// neighbours tell the host the pod's MAC address, so that it neither asks nor believes what it knew
// of the address's previous owner. What the pod says of itself later counts for more: its MAC may
// change. With leases of this node the entry is one that the kernel neither counts against its
// limits nor collects, as a DEL finds the addresses again whatever it is given. With another IPAM
// it is one that goes by itself.
func neighbours(link *netlink.Link, c *config, a *addressing, mac net.HardwareAddr) []*netlink.Message {
	var flags uint8
	if c.local != nil {
		flags = unix.NTF_EXT_LEARNED
	}
	var messages []*netlink.Message
	for _, addr := range a.addrs {
		messages = append(messages,
			netlink.SetNeighbour(link.Index, addr.prefix.Addr(), mac, unix.NUD_STALE, flags))
	}
	return messages
}

// dropNeighbours removes the entries; those that are gone are no error.
func dropNeighbours(h *netlink.Conn, link *netlink.Link, addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	var messages []*netlink.Message
	for _, a := range addrs {
		messages = append(messages, netlink.DelNeighbour(link.Index, a))
	}
	answers, errs := h.Exchange(messages...)
	for i, a := range answers {
		if a.Err != nil && !errors.Is(a.Err, unix.ENOENT) {
			errs = errors.Join(errs,
				fmt.Errorf("neighbour %s on %s: %w", addrs[i], link.Name, a.Err))
		}
	}
	return errs
}
