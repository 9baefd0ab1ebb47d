package netlink

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// RouteTo is the link over which the kernel would send to an address; 0 if it would not. Direct reports that there is no gateway in
// between.
func (c *Conn) RouteTo(addr netip.Addr) (index int, direct bool, err error) {
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1] = family(addr), uint8(addr.BitLen())
	answers, err := c.Exchange(NewMessage(unix.RTM_GETROUTE, 0, head).Bytes(unix.RTA_DST, addr.AsSlice()))
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
	attrs := Attributes(answers[0].Data[0][unix.SizeofRtMsg:])
	via := attrs[unix.RTA_GATEWAY] != nil || attrs[unix.RTA_VIA] != nil
	return number(attrs[unix.RTA_OIF]), !via, nil
}

// AddrsIn lists the addresses of the namespace with this number, by the index of their link there; nil: it has gone.
func (c *Conn) AddrsIn(namespace int) (map[int][]netip.Addr, error) {
	return c.addrsBy(NewMessage(unix.RTM_GETADDR, 0, addrHeader(unix.AF_UNSPEC, 0, 0)).Uint32(unix.IFA_TARGET_NETNSID, uint32(namespace)))
}

// AddrsHere lists the addresses of the socket's own namespace, by the index of their link.
func (c *Conn) AddrsHere() (map[int][]netip.Addr, error) {
	return c.addrsBy(NewMessage(unix.RTM_GETADDR, 0, addrHeader(unix.AF_UNSPEC, 0, 0)))
}

func (c *Conn) addrsBy(m *Message) (map[int][]netip.Addr, error) {
	data, err := c.Dump(m)
	if errors.Is(err, unix.EINVAL) {
		return nil, nil
	}
	addrs := map[int][]netip.Addr{}
	for _, d := range data {
		if len(d) < unix.SizeofIfAddrmsg {
			continue
		}
		attrs := Attributes(d[unix.SizeofIfAddrmsg:])
		local := attrs[unix.IFA_LOCAL]
		if local == nil {
			local = attrs[unix.IFA_ADDRESS]
		}
		if a, ok := netip.AddrFromSlice(local); ok {
			index := int(native.Uint32(d[4:]))
			addrs[index] = append(addrs[index], a)
		}
	}
	return addrs, err
}
