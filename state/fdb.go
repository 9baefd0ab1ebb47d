package state

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// FDB is a forwarding entry of the vxlan device: the underlay address behind a peer's VTEP MAC.
type FDB struct {
	Device    string
	MAC       MAC
	Dst       netip.Addr
	Permanent bool
	Port      uint16 // 0: the device's
	VNI       uint32 // 0: the device's
	Out       int    // index of the link that the packets have to leave by; 0: any
}

func fdbKey(device string, mac MAC) Key { return Key{Kind: KindFDB, Name: device, MAC: mac} }

func (e FDB) Key() Key     { return fdbKey(e.Device, e.MAC) }
func (e FDB) Parent() Key  { return linkKey(e.Device) }
func (e FDB) Name() string { return e.MAC.String() }

func (e FDB) Attrs() string {
	s := "dst " + e.Dst.String()
	if e.Port != 0 {
		s += fmt.Sprintf(" port %d", e.Port)
	}
	if e.VNI != 0 {
		s += fmt.Sprintf(" vni %d", e.VNI)
	}
	if e.Out != 0 {
		s += fmt.Sprintf(" via %d", e.Out)
	}
	if !e.Permanent {
		s += " not permanent"
	}
	return s
}

// listFDB reports every entry of podnet's vxlan devices: learning is off, so nobody else has business there.
func listFDB(n *Node, _ *Set, live *Live) error {
	for device, index := range n.tunnels(live) {
		start := live.FDB.mark()
		err := n.rtnl.dumpNeighs(unix.AF_BRIDGE, index, func() { live.FDB.rewind(start) },
			func(m neighMessage) {
				if m.self { // not the table of a bridge that the device is a port of
					live.FDB.Add(m.fdb(device), OwnNode)
				}
			})
		if err != nil {
			return fmt.Errorf("list the FDB of %s: %w", device, err)
		}
	}
	return nil
}

func (n *Node) applyFDB(changes []*Change) {
	n.batch(changes, func(c *Change) request {
		e := c.Object().(FDB)
		index := n.index(e.Device)
		return request{ignore: absent(c, syscall.ENOENT), encode: func(conn *rtnl, buf []byte) []byte {
			m := conn.begin(buf, verb(c, unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH), replaceFlags(c))
			m.fdb(index, e)
			return m.end()
		}}
	})
}

// fdb is everything that tells an entry from another of the same MAC.
func (m *message) fdb(index int, e FDB) {
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
