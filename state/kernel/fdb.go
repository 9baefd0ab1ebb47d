package kernel

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"github.com/podnet/podnet/state"
	"golang.org/x/sys/unix"
)

// listFDB reports every entry of podnet's vxlan devices: learning is off, so nobody else has business there.
func listFDB(n *Node, _ *state.Set, live *state.Live) error {
	for device, index := range n.tunnels(live) {
		start := live.FDB.Mark()
		err := n.Rtnl.dumpNeighs(unix.AF_BRIDGE, index, func() { live.FDB.Rewind(start) },
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
	n.batch(changes, func(c *state.Change) request {
		e := c.Object().(state.FDB)
		index := n.Index(e.Device)
		return request{ignore: absent(c, syscall.ENOENT), encode: func(conn *rtnl, buf []byte) []byte {
			m := conn.begin(buf, verb(c, unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH), replaceFlags(c))
			m.fdb(index, e)
			return m.end()
		}}
	})
}

// fdb is everything that tells an entry from another of the same MAC.
func (m *message) fdb(index int, e state.FDB) {
	m.neigh(unix.AF_BRIDGE, index, unix.NUD_PERMANENT, unix.NTF_SELF)
	m.attr(unix.NDA_LLADDR, e.MAC[:])
	if e.Dst.IsValid() {
		m.addr(unix.NDA_DST, e.Dst)
	}
	if e.Port != 0 {
		m.attr(unix.NDA_PORT, binary.BigEndian.AppendUint16(nil, e.Port))
	}
	if e.VNI != 0 {
		m.attr32(unix.NDA_VNI, e.VNI)
	}
	if e.Out != 0 {
		m.attr32(unix.NDA_IFINDEX, uint32(e.Out))
	}
}
