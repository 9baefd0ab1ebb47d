package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

const ndmLen = 12 // sizeof(struct ndmsg)

// neighMessage is what podnet reads of a neighbour or FDB entry.
type neighMessage struct {
	permanent bool
	self      bool // of the device itself, in an FDB
	dst       netip.Addr
	mac       state.MAC
	port      uint16
	vni       uint32
	out       int
}

// decodeNeigh reads an entry's message, which is at least ndmLen long.
func decodeNeigh(body []byte) neighMessage {
	msg := neighMessage{permanent: native.Uint16(body[8:])&unix.NUD_PERMANENT != 0, self: body[10]&unix.NTF_SELF != 0}
	netlink.EachAttribute(body[ndmLen:], msg.attr)
	return msg
}

func (e *neighMessage) neigh(device string) state.Neigh {
	return state.Neigh{Device: device, IP: e.dst, MAC: e.mac, Permanent: e.permanent}
}

func (e *neighMessage) fdb(device string) state.FDB {
	return state.FDB{Device: device, MAC: e.mac, Dst: e.dst, Permanent: e.permanent, Port: e.port, VNI: e.vni, Out: e.out}
}

func (e *neighMessage) attr(typ uint16, v []byte) {
	switch {
	case typ == unix.NDA_DST:
		e.dst = netlink.IP(v)
	case typ == unix.NDA_LLADDR:
		copy(e.mac[:], v)
	case typ == unix.NDA_PORT && len(v) == 2:
		e.port = binary.BigEndian.Uint16(v)
	case typ == unix.NDA_VNI:
		e.vni = netlink.Number(v)
	case typ == unix.NDA_IFINDEX:
		e.out = int(netlink.Number(v))
	}
}

// dumpNeighs hands each entry of one device to each: the filter is the kernel's.
func (n *Node) dumpNeighs(family uint8, index int, reset func(), each func(neighMessage)) error {
	m := netlink.NewMessage(unix.RTM_GETNEIGH, 0).NeighHeader(unix.NdMsg{Family: family})
	m.Uint32(unix.NDA_IFINDEX, uint32(index))
	return n.Conn.Dump(m, reset, func(body []byte) {
		if len(body) < ndmLen || int(native.Uint32(body[4:])) != index {
			return
		}
		each(decodeNeigh(body))
	})
}

// listNeighs reports the permanent entries of podnet's vxlan devices, and any entry in the place of
// a desired one. What the kernel learns or makes for multicast is nobody's.
func listNeighs(n *Node, want *state.Set, live *state.Live) error {
	for device, index := range n.tunnels(live) {
		start := live.Neighs.Mark()
		err := n.dumpNeighs(unix.AF_UNSPEC, index, func() { live.Neighs.Rewind(start) },
			func(m neighMessage) {
				e := m.neigh(device)
				if e.Permanent || want.Has(e.Key()) {
					live.Neighs.Add(e, state.OwnNode)
				}
			})
		if err != nil {
			return fmt.Errorf("list the neighbours of %s: %w", device, err)
		}
	}
	return nil
}

func (n *Node) applyNeighs(changes []*state.Change) {
	n.batch(changes, func(c *state.Change) netlink.Request {
		e := c.Object().(state.Neigh)
		index := n.Index(e.Device)
		return netlink.Request{Ignore: absent(c, syscall.ENOENT), Encode: func(b *netlink.Batch) {
			h := unix.NdMsg{Family: uint8(netlink.FamilyOf(e.IP)), Ifindex: int32(index), State: unix.NUD_PERMANENT}
			m := b.Message(verb(c, unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH), replaceFlags(c)).NeighHeader(h)
			m.IP(unix.NDA_DST, e.IP)
			if c.Op != state.Delete {
				m.Bytes(unix.NDA_LLADDR, e.MAC[:])
			}
		}}
	})
}
