package netlink

import (
	"errors"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Neighbour is what the kernel knows of an address on a link.
type Neighbour struct {
	MAC   net.HardwareAddr
	State uint16 // NUD_STALE and the like
}

// Lasting reports whether the kernel keeps the entry whatever the neighbour says of itself.
func (n *Neighbour) Lasting() bool { return n.State&(unix.NUD_PERMANENT|unix.NUD_NOARP) != 0 }

// SetNeighbour makes an entry or replaces one; flags are NTF_EXT_LEARNED and the like.
func SetNeighbour(index int, a netip.Addr, mac net.HardwareAddr, state uint16, flags uint8) *Message {
	return neighbour(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, index, a, state, flags).
		Bytes(unix.NDA_LLADDR, mac)
}

// DelNeighbour removes an entry: ENOENT.
func DelNeighbour(index int, a netip.Addr) *Message {
	return neighbour(unix.RTM_DELNEIGH, 0, index, a, 0, 0)
}

func neighbour(typ, flags uint16, index int, a netip.Addr, state uint16, entryFlags uint8) *Message {
	h := unix.NdMsg{Family: uint8(FamilyOf(a)), Ifindex: int32(index), State: state, Flags: entryFlags}
	return NewMessage(typ, flags).NeighHeader(h).IP(unix.NDA_DST, a)
}

// Neighbours looks addresses up on a link; nil: there is no entry.
func (c *Conn) Neighbours(index int, addrs []netip.Addr) ([]*Neighbour, error) {
	var messages []*Message
	for _, a := range addrs {
		messages = append(messages, neighbour(unix.RTM_GETNEIGH, 0, index, a, 0, 0))
	}
	answers, err := c.Exchange(messages...)
	if err != nil {
		return nil, err
	}
	found := make([]*Neighbour, len(addrs))
	for i, a := range answers {
		switch {
		case errors.Is(a.Err, unix.ENOENT):
		case a.Err != nil:
			return nil, a.Err
		case len(a.Data) > 0 && len(a.Data[0]) >= unix.SizeofNdMsg:
			b := a.Data[0]
			found[i] = &Neighbour{MAC: Attribute(b[unix.SizeofNdMsg:], unix.NDA_LLADDR), State: native.Uint16(b[8:])}
		}
	}
	return found, nil
}
