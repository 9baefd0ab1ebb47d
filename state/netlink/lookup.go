package netlink

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// RouteTo is the link over which the kernel would send to an address; 0 if it would not. Direct
// reports that there is no gateway in between.
func (c *Conn) RouteTo(addr netip.Addr) (index int, direct bool, err error) {
	h := unix.RtMsg{Family: uint8(FamilyOf(addr)), Dst_len: uint8(addr.BitLen())}
	answers, err := c.Exchange(NewMessage(unix.RTM_GETROUTE, 0).RouteHeader(h).IP(unix.RTA_DST, addr))
	if err != nil {
		return 0, false, err
	}
	refused := answers[0].Err
	if errors.Is(refused, unix.ENETUNREACH) || errors.Is(refused, unix.EHOSTUNREACH) || errors.Is(refused, unix.EACCES) {
		return 0, false, nil
	}
	if refused != nil || len(answers[0].Data) == 0 || len(answers[0].Data[0]) < unix.SizeofRtMsg {
		return 0, false, fmt.Errorf("route to %s: %w", addr, refused)
	}
	attrs := attributes(answers[0].Data[0][unix.SizeofRtMsg:])
	via := attrs[unix.RTA_GATEWAY] != nil || attrs[unix.RTA_VIA] != nil
	return int(Number(attrs[unix.RTA_OIF])), !via, nil
}

// AddrsIn lists the addresses of the namespace with this number, by the index of their link there;
// nil: it has gone.
func (c *Conn) AddrsIn(namespace int) (map[int][]netip.Addr, error) {
	return c.addrsBy(NewMessage(unix.RTM_GETADDR, 0).AddrHeader(unix.IfAddrmsg{}).
		Uint32(unix.IFA_TARGET_NETNSID, uint32(namespace)))
}

// AddrsHere lists the addresses of the socket's own namespace, by the index of their link.
func (c *Conn) AddrsHere() (map[int][]netip.Addr, error) {
	return c.addrsBy(NewMessage(unix.RTM_GETADDR, 0).AddrHeader(unix.IfAddrmsg{}))
}

func (c *Conn) addrsBy(m *Message) (addrs map[int][]netip.Addr, err error) {
	err = c.Dump(m, func() { addrs = map[int][]netip.Addr{} }, func(body []byte) {
		if index, a := ParseAddr(body); a.Prefix.IsValid() {
			addrs[index] = append(addrs[index], a.Prefix.Addr())
		}
	})
	if errors.Is(err, unix.EINVAL) {
		return nil, nil
	}
	return addrs, err
}
