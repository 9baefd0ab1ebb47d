package kernel

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// listFDB reports every entry of podnet's vxlan devices: learning is off, so nobody else has
// business there.
func listFDB(n *Node, _ *state.Set, live *state.Live) error {
	for device, index := range n.tunnels(live) {
		start := live.FDB.Mark()
		err := n.dumpNeighs(unix.AF_BRIDGE, index, func() { live.FDB.Rewind(start) },
			func(m neighMessage) {
				if m.self { // not the table of a bridge that the device is a port of
					live.FDB.Add(m.fdb(device), state.OwnNode)
				}
			})
		if err != nil {
			return fmt.Errorf("list the FDB of %s: %w", device, err)
		}
	}
	return nil
}

func (n *Node) applyFDB(changes []*state.Change) {
	n.batch(changes, func(c *state.Change) netlink.Request {
		e := c.Object().(state.FDB)
		index := n.Index(e.Device)
		return netlink.Request{Ignore: absent(c, syscall.ENOENT), Encode: func(b *netlink.Batch) {
			encodeFDB(b.Message(verb(c, unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH), replaceFlags(c)), index, e)
		}}
	})
}

// encodeFDB adds everything that tells an entry from another of the same MAC.
func encodeFDB(m *netlink.Message, index int, e state.FDB) {
	m.NeighHeader(unix.NdMsg{Family: unix.AF_BRIDGE, Ifindex: int32(index), State: unix.NUD_PERMANENT,
		Flags: unix.NTF_SELF})
	m.Bytes(unix.NDA_LLADDR, e.MAC[:])
	if e.Dst.IsValid() {
		m.IP(unix.NDA_DST, e.Dst)
	}
	if e.Port != 0 {
		m.Bytes(unix.NDA_PORT, binary.BigEndian.AppendUint16(nil, e.Port))
	}
	if e.VNI != 0 {
		m.Uint32(unix.NDA_VNI, e.VNI)
	}
	if e.Out != 0 {
		m.Uint32(unix.NDA_IFINDEX, uint32(e.Out))
	}
}
