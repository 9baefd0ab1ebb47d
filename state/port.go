package state

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"

	"github.com/podnet/podnet/state/device"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Port is a pod's place on the bridge: the host veth that podnet's own conflist asked for. A bridge that is made anew has
// none, and its pods, though alive, talk to nobody until they get theirs back; nor do those whose veth is down, or whose port
// has options that keep frames from them.
type Port struct {
	Device  string
	Bridge  string // "": none
	Hairpin bool
	Closed  portOptions // podnet's ports have none of these
	Down    bool        // the veth itself, whether the pod's end is up or not; podnet's never are
}

func (p Port) Key() Key     { return Key{Kind: KindBridgePort, Name: p.Device} }
func (p Port) Parent() Key  { return linkKey(p.Bridge) }
func (p Port) Name() string { return p.Device }

func (p Port) Attrs() string {
	s := "no master"
	if p.Bridge != "" {
		s = "master " + p.Bridge
	}
	if p.Hairpin {
		s += " hairpin on"
	}
	s += p.Closed.String()
	if p.Down {
		s += " down"
	}
	return s
}

// WithPorts is the set with a port of the bridge for each pod: the pods are the runtime's to bring and take, not the
// topology's, so a set stays good for many of them. It shares everything else with s.
func (s *Set) WithPorts(hairpin bool, pods []string) *Set {
	with := *s
	with.Ports = Table[Port]{}
	for _, l := range s.Links.Rows() {
		if l.Type != "bridge" {
			continue
		}
		for _, pod := range pods {
			with.Ports.Add(Port{Device: pod, Bridge: l.Device, Hairpin: hairpin}, OwnNode)
		}
	}
	return &with
}

// dumpLinks hands every link's message to each.
func (c *rtnl) dumpLinks(reset func(), each func(body []byte)) error {
	const skipStatistics = 8 // RTEXT_FILTER_SKIP_STATS
	return c.dump(func(c *rtnl, buf []byte) []byte {
		m := c.begin(buf, unix.RTM_GETLINK, unix.NLM_F_DUMP)
		m.raw(make([]byte, ifInfoLen)...)
		m.attr32(unix.IFLA_EXT_MASK, skipStatistics)
		return m.end()
	}, reset, each)
}

// listPorts reports the pods' veths and the place of each, both from one look. netlink does not tell a port's hairpin mode in
// a dump.
//
// Where no bridge is wanted, as on a node whose podCIDRs were taken away, no port is, and those that are left are the pods'
// own: they are not compared.
func listPorts(n *Node, want *Set, live *Live) error {
	live.Conflicts = append(live.Conflicts, n.unplugged(want)...)
	if !n.hasPods() {
		return nil
	}
	compared := slices.ContainsFunc(want.Links.Rows(), func(l Link) bool { return l.Type == "bridge" })
	start := live.Ports.mark()
	err := n.rtnl.dumpLinks(func() { live.Ports.rewind(start); live.Pods = nil }, func(body []byte) {
		if p, ours := n.decodePort(body); ours {
			live.Pods = append(live.Pods, p.Device)
			if compared {
				live.Ports.Add(p, OwnNode)
			}
		}
	})
	if err != nil {
		return fmt.Errorf("list bridge ports: %w", err)
	}
	return nil
}

// hasPods spares a node without pods the second look.
func (n *Node) hasPods() bool {
	for _, l := range n.links {
		if l.Attrs().Group == device.GroupPod {
			return true
		}
	}
	return false
}

func (n *Node) decodePort(body []byte) (p Port, ours bool) {
	if len(body) < ifInfoLen {
		return p, false
	}
	p.Down = native.Uint32(body[8:])&unix.IFF_UP == 0
	var options portReader
	attrs(body[ifInfoLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_IFNAME:
			p.Device = unix.ByteSliceToString(v)
		case unix.IFLA_GROUP:
			ours = number(v) == device.GroupPod
		case unix.IFLA_MASTER:
			p.Bridge = n.name(int(number(v)))
		case unix.IFLA_OPERSTATE:
			options.operating = number(v) == operatingUp
		case unix.IFLA_LINKINFO:
			attrs(v, func(typ uint16, v []byte) {
				if typ == infoSlaveData {
					attrs(v, options.attr)
				}
			})
		}
	})
	p.Hairpin = options.hairpin
	if l := n.links[p.Bridge]; l != nil && l.Attrs().Flags&net.FlagUp == 0 {
		options.operating = false // no port of a bridge that is down forwards
	}
	p.Closed = options.closed()
	return p, ours
}

// applyPort puts a veth where it belongs. A pod that has gone in the meantime, or is about to, needs no place.
func (n *Node) applyPort(c *Change) error {
	if c.Op == Delete { // nobody takes a pod's port away
		return nil
	}
	want := c.Want.(Port)
	have, _ := c.Have.(Port)
	bridge := n.index(want.Bridge)
	veth, err := n.handle.LinkByName(want.Device)
	if errors.As(err, new(netlink.LinkNotFoundError)) || err == nil && veth.Attrs().Group != device.GroupPod {
		return nil
	}
	if err == nil && bridge == 0 {
		err = syscall.ENODEV
	}
	if err != nil {
		return fmt.Errorf("port %s of %s: %w", want.Device, want.Bridge, err)
	}
	if err := n.setPort(veth, bridge, have, want); err != nil && !errors.Is(err, syscall.ENODEV) {
		return fmt.Errorf("port %s of %s: %w", want.Device, want.Bridge, err)
	}
	return nil
}

// setPort changes what differs. A port of another bridge begins with the kernel's options.
func (n *Node) setPort(veth netlink.Link, bridge int, have, want Port) (err error) {
	moved := have.Bridge != want.Bridge
	if moved {
		err = n.handle.LinkSetMasterByIndex(veth, bridge)
	}
	if err == nil && (moved || have.Hairpin != want.Hairpin) {
		err = n.handle.LinkSetHairpin(veth, want.Hairpin)
	}
	if err == nil && !moved && have.Closed != 0 {
		err = have.Closed.open(veth.Attrs().Index)
	}
	if err == nil && have.Down {
		err = n.handle.LinkSetUp(veth)
	}
	return err
}
