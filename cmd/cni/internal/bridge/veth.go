package bridge

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/podns"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
)

// veth is the pair of one attachment: the host's end, a port of the bridge, and the pod's.
type veth struct {
	name    string // of the host's end
	alias   string
	mac     net.HardwareAddr
	group   uint32
	mtu     int
	bridge  int // index
	port    portOptions
	peer    string // name of the pod's end
	peerMAC net.HardwareAddr
}

type portOptions struct{ hairpin, isolated bool }

func newVeth(req *protocol.Request, c *config, br *netlink.Bridge) (*veth, error) {
	mac, err := c.podMAC(req)
	if err != nil {
		return nil, err
	}
	v := &veth{
		name: vethName(req), mac: randomMAC(), mtu: c.MTU, bridge: br.Index,
		port: portOptions{c.HairpinMode, c.PortIsolation}, peer: req.IfName, peerMAC: mac,
	}
	if c.Podnet != nil {
		v.group, v.alias = device.GroupPod, podAlias(req)
	}
	return v, nil
}

// add makes the pair: the host's end up and a port of the bridge, the pod's end down in its namespace. One message does it
// all, so that there is no moment at which half of it could be left; the kernel takes alias and port options only
// afterwards. The netlink package's LinkAdd would set the master in a message of its own.
func (v *veth) add(h *netlink.Handle, pod *podns.Namespace) (netlink.Link, error) {
	if _, err := v.request(pod.FD()).Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return nil, v.explain(err)
	}
	link, err := h.LinkByName(v.name)
	if err != nil {
		return nil, fmt.Errorf("veth %s: %w", v.name, err)
	}
	_, err = v.options(link.Attrs().Index, true).Execute(unix.NETLINK_ROUTE, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) { // a kernel without IPv6
		_, err = v.options(link.Attrs().Index, false).Execute(unix.NETLINK_ROUTE, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("set options of veth %s: %w", v.name, err)
	}
	return link, nil
}

func (v *veth) request(podFD int) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Flags, msg.Change = unix.IFF_UP, unix.IFF_UP
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, v.mac))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(v.bridge))))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(v.group)))
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.peer))
	peer.AddRtAttr(unix.IFLA_ADDRESS, v.peerMAC)
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(podFD)))
	if v.mtu > 0 {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu))))
		peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.mtu)))
	}
	req.AddData(info)
	return req
}

// options are what the kernel ignores when the veth is made. The host's end gets no link-local address: it is a port.
func (v *veth) options(index int, ipv6 bool) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	if v.alias != "" {
		req.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, []byte(v.alias)))
	}
	if ipv6 {
		spec := nl.NewRtAttr(unix.IFLA_AF_SPEC, nil)
		spec.AddRtAttr(unix.AF_INET6, nil).AddRtAttr(unix.IFLA_INET6_ADDR_GEN_MODE, nl.Uint8Attr(nl.IN6_ADDR_GEN_MODE_NONE))
		req.AddData(spec)
	}
	if v.port != (portOptions{}) {
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
		data := info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil)
		data.AddRtAttr(nl.IFLA_BRPORT_MODE, flag(v.port.hairpin))
		data.AddRtAttr(nl.IFLA_BRPORT_ISOLATED, flag(v.port.isolated))
		req.AddData(info)
	}
	return req
}

func flag(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}

// explain says what the kernel's terse refusals mean here.
func (v *veth) explain(err error) error {
	err = fmt.Errorf("make veth %s with peer %s: %w", v.name, v.peer, err)
	switch {
	case errors.Is(err, unix.EXFULL):
		return protocol.Errorf(protocol.CodeExhausted, "the bridge has no port left, 1023 is all that it can have: fewer pods on this node: %w", err)
	case errors.Is(err, unix.ENODEV):
		return protocol.Errorf(protocol.CodeTryLater, "the bridge was deleted at this moment: %w", err)
	}
	return err
}
