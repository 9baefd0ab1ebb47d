package bridge

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

const (
	dadTimeout  = 5 * time.Second
	portTimeout = 3 * time.Second
)

// settle waits until duplicate address detection has passed the addresses.
func settle(h *netlink.Handle, link netlink.Link) error {
	return poll(dadTimeout, func() (bool, error) {
		list, err := h.AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return false, err
		}
		for _, a := range list {
			addr, _ := netip.AddrFromSlice(a.IP)
			switch {
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				return false, protocol.Errorf(protocol.CodeUnavailable, "another host has the address %s", addr)
			case a.Flags&unix.IFA_F_TENTATIVE != 0 && !addr.IsLinkLocalUnicast():
				return false, nil
			}
		}
		return true, nil
	}, "the pod's addresses are still being checked for duplicates")
}

// awaitLinks waits until the host's end and the bridge pass packets. The kernel sets the end going a moment after its peer is
// up, and a bridge without other ports a moment after that; what comes before is dropped.
func awaitLinks(h *netlink.Handle, names ...string) error {
	for _, name := range names {
		err := poll(portTimeout, func() (bool, error) {
			link, err := h.LinkByName(name)
			if err != nil {
				return false, fmt.Errorf("link %s: %w", name, err)
			}
			return link.Attrs().OperState == netlink.OperUp, nil
		}, name+" does not come up")
		if err != nil {
			return err
		}
	}
	return nil
}

// poll asks until the answer is yes, less and less often.
func poll(timeout time.Duration, done func() (bool, error), otherwise string) error {
	deadline := time.Now().Add(timeout)
	for pause := 50 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if ok, err := done(); err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return protocol.Errorf(protocol.CodeTryLater, "%s after %s", otherwise, timeout)
		}
		time.Sleep(pause)
	}
}
