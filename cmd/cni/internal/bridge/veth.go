package bridge

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// veth is the pair of one attachment: the host's end, a port of the bridge, and the pod's.
type veth struct {
	name    string // name of the host's end
	alias   string
	mac     net.HardwareAddr
	group   uint32
	mtu     int
	bridge  *netlink.Link
	port    portOptions
	peer    string // name of the pod's end
	peerMAC net.HardwareAddr

	// allow is called when the host's end is there and podnetd does not take it for a pod's yet; nil:
	// there is nothing to do.
	allow func() error
}

type portOptions struct{ hairpin, isolated bool }

// newVeth returns the pair that the configuration asks for.
func (c *call) newVeth(br *netlink.Link, mac net.HardwareAddr) *veth {
	v := &veth{
		name: c.vethName(), mac: portMAC(), mtu: c.MTU, bridge: br,
		port: portOptions{c.HairpinMode, c.PortIsolation}, peer: c.IfName, peerMAC: mac,
	}
	if c.Podnet != nil {
		v.group, v.alias = device.GroupPod, c.podAlias()
	}
	return v
}

// add makes the pair: the host's end up and a port of the bridge, the pod's end down in its
// namespace. One message does it all, so that there is no moment at which half of it could be left;
// the kernel takes alias and port options only afterwards. If it refuses those the pair goes again.
func (v *veth) add(h *netlink.Conn, pod *netns.Namespace) (*netlink.Link, error) {
	if err := h.Do(v.request(pod.FD())); err != nil {
		return nil, v.explain(err)
	}
	var refused error
	if v.allow != nil {
		refused = v.allow()
	}
	answers, err := h.Exchange(v.options(true), netlink.GetLink(v.name))
	if err == nil && errors.Is(answers[0].Err, unix.EAFNOSUPPORT) { // a kernel without IPv6
		answers, err = h.Exchange(v.options(false), netlink.GetLink(v.name))
	}
	if err != nil {
		return nil, fmt.Errorf("set options of veth %s: %w", v.name, err)
	}
	link, err := answers[1].Link()
	if err != nil {
		return nil, fmt.Errorf("veth %s: %w", v.name, err)
	}
	if err = answers[0].Err; err != nil {
		err = fmt.Errorf("set options of veth %s: %w", v.name, err)
	} else if err = refused; err == nil {
		// A port takes nothing in, but it is one only as long as there is a bridge.
		err = writeSettings(device.IgnoreRouters(v.name))
	}
	if err != nil {
		return nil, errors.Join(err, deleteVeth(h, link))
	}
	return link, nil
}

// request asks for one queue in each direction, which is what a veth uses anyway: the kernel would
// make one for each processor, with its files in /sys and its announcements, only to take the
// others down again. podFD -1: the peer stays in the host's namespace.
func (v *veth) request(podFD int) *netlink.Message {
	m := netlink.NewMessage(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL).
		LinkHeader(unix.IfInfomsg{Flags: unix.IFF_UP, Change: unix.IFF_UP})
	m.String(unix.IFLA_IFNAME, v.name).Bytes(unix.IFLA_ADDRESS, v.mac)
	m.Uint32(unix.IFLA_NUM_TX_QUEUES, 1).Uint32(unix.IFLA_NUM_RX_QUEUES, 1)
	m.Uint32(unix.IFLA_MASTER, uint32(v.bridge.Index))
	if v.mtu > 0 {
		m.Uint32(unix.IFLA_MTU, uint32(v.mtu))
	}
	return m.Nest(unix.IFLA_LINKINFO, func(m *netlink.Message) {
		m.String(unix.IFLA_INFO_KIND, "veth").Nest(unix.IFLA_INFO_DATA, func(m *netlink.Message) {
			m.Nest(vethPeer, func(m *netlink.Message) {
				m.LinkHeader(unix.IfInfomsg{})
				m.String(unix.IFLA_IFNAME, v.peer).Bytes(unix.IFLA_ADDRESS, v.peerMAC)
				m.Uint32(unix.IFLA_NUM_TX_QUEUES, 1).Uint32(unix.IFLA_NUM_RX_QUEUES, 1)
				if podFD >= 0 {
					m.Uint32(unix.IFLA_NET_NS_FD, uint32(podFD))
				}
				if v.mtu > 0 {
					m.Uint32(unix.IFLA_MTU, uint32(v.mtu))
				}
			})
		})
	})
}

// Of the kernel's headers, what package unix lacks.
const (
	vethPeer        = 1  // VETH_INFO_PEER
	portHairpin     = 4  // IFLA_BRPORT_MODE
	portIsolated    = 33 // IFLA_BRPORT_ISOLATED
	ipv6AddrGenMode = 8  // IFLA_INET6_ADDR_GEN_MODE
	addrGenModeNone = 1  // IN6_ADDR_GEN_MODE_NONE
)

// options returns the settings that the kernel ignores when the veth is made. The host's end gets
// no link-local address, as it is a port. The group comes with the options: it tells podnetd that
// the port is a pod's, and podnetd repairs a port that lacks its options.
func (v *veth) options(ipv6 bool) *netlink.Message {
	m := netlink.NewMessage(unix.RTM_NEWLINK, 0)
	m.LinkHeader(unix.IfInfomsg{}).String(unix.IFLA_IFNAME, v.name)
	if v.group != 0 {
		m.Uint32(unix.IFLA_GROUP, v.group)
	}
	if v.alias != "" {
		m.Bytes(unix.IFLA_IFALIAS, []byte(v.alias))
	}
	if ipv6 {
		m.Nest(unix.IFLA_AF_SPEC, func(m *netlink.Message) {
			m.Nest(unix.AF_INET6, func(m *netlink.Message) {
				m.Uint8(ipv6AddrGenMode, addrGenModeNone)
			})
		})
	}
	if v.port == (portOptions{}) {
		return m
	}
	return m.Nest(unix.IFLA_LINKINFO, func(m *netlink.Message) {
		m.String(unix.IFLA_INFO_SLAVE_KIND, "bridge").Nest(unix.IFLA_INFO_SLAVE_DATA, func(m *netlink.Message) {
			m.Bool(portHairpin, v.port.hairpin).Bool(portIsolated, v.port.isolated)
		})
	})
}

// explain returns what a refusal of the kernel means here.
func (v *veth) explain(err error) error {
	err = fmt.Errorf("make veth %s with peer %s: %w", v.name, v.peer, err)
	switch {
	case errors.Is(err, unix.EXFULL):
		return protocol.Errorf(protocol.CodeExhausted,
			"the bridge %s is full, it has the %d ports that a bridge can have: fewer pods on this node, "+
				"or a network with a bridge of its own for some of them: %w",
			v.bridge.Name, mostPorts, err)
	case errors.Is(err, unix.ENODEV):
		return protocol.Errorf(protocol.CodeTryLater,
			"the bridge %s was deleted at this moment: %w", v.bridge.Name, err)
	}
	return err
}
