package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// HostVeth is the host's end of a veth whose other end is in a pod, or any port of the bridge.
type HostVeth struct {
	Device     string // "": there is none
	Alias      string // podnet's own: see device.PodAlias
	Group      uint32
	Up         bool
	Carrier    bool
	MTU        int
	Bridge     string // the device that it is a port of; "": none
	Forwarding bool   // as a port
	Isolated   bool   // from other isolated ports

	Peer      int   // index of the pod's end, there
	Namespace int32 // the number of the pod's namespace in this one; below 0: the pod's end is here
}

// PodEnd is the pod's end of a veth.
type PodEnd struct {
	Device string // "": it cannot be read
	Up     bool
	MTU    int
	MAC    [6]byte
	Addrs  []netip.Prefix
}

// HostVeths lists podnet's own host veths and all ports of the bridge.
func (n *Node) HostVeths(bridge string) ([]HostVeth, error) {
	if err := n.ReadLinks(); err != nil {
		return nil, err
	}
	var out []HostVeth
	err := n.Conn.EachLink(func() { out = nil }, func(l netlink.Link) {
		if v := n.hostVeth(l); v.Group == device.GroupPod || v.Bridge == bridge && bridge != "" {
			out = append(out, v)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list host veths: %w", err)
	}
	return out, nil
}

// hostVeth is what a link is as the host's end of a veth.
func (n *Node) hostVeth(l netlink.Link) HostVeth {
	port := l.Port()
	return HostVeth{
		Device: l.Name, Alias: l.Alias, Group: l.Group, Up: l.Up(), Carrier: l.Carrier, MTU: l.MTU,
		Bridge: n.Name(l.Master), Forwarding: port.Forwarding, Isolated: port.Isolated,
		Peer: l.Parent, Namespace: int32(l.ParentIn),
	}
}

// ErrGone says that a pod has gone since its host veth was listed.
var ErrGone = errors.New("the pod has gone in the meantime")

// End reads the pod's end of a veth through the number that the kernel gives its namespace here. It
// may be ErrGone.
func (n *Node) End(v HostVeth) (PodEnd, error) {
	var end PodEnd
	if v.Namespace < 0 || v.Peer == 0 {
		return end, nil
	}
	var unseen error
	err := n.Conn.Ask(1, func(_ int, b *netlink.Batch) {
		m := b.Message(unix.RTM_GETLINK, 0).LinkHeader(unix.IfInfomsg{Index: int32(v.Peer)})
		m.Uint32(unix.IFLA_TARGET_NETNSID, uint32(v.Namespace))
	}, func(_ int, body []byte, err error) {
		if unseen = err; err == nil {
			l, _ := netlink.ParseLink(body)
			end.Device, end.Up, end.MTU = l.Name, l.Up(), l.MTU
			copy(end.MAC[:], l.MAC)
		}
	})
	if err == nil && end.Device != "" {
		if end.Addrs, err = n.AddrsIn(v); errors.Is(err, unix.EINVAL) { // the namespace has gone since
			return PodEnd{}, nil
		}
	}
	if Vanished(err) || Vanished(unseen) {
		err = ErrGone
	}
	if err != nil {
		return end, fmt.Errorf("look at the pod behind %s: %w", v.Device, err)
	}
	return end, nil
}

// Vanished reports whether an error means that a link, or the namespace that a number stood for, is
// gone.
func Vanished(err error) bool { return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EINVAL) }

// AddrsIn are the addresses of the pod's end, or of all links of its namespace if the end is not
// known, less link-local ones.
func (n *Node) AddrsIn(v HostVeth) (addrs []netip.Prefix, err error) {
	m := netlink.NewMessage(unix.RTM_GETADDR, 0).AddrHeader(unix.IfAddrmsg{Index: uint32(v.Peer)})
	m.Uint32(unix.IFA_TARGET_NETNSID, uint32(v.Namespace))
	err = n.Conn.Dump(m, func() { addrs = nil }, func(body []byte) {
		index, a := netlink.ParseAddr(body)
		if (v.Peer == 0 || index == v.Peer) && a.Prefix.IsValid() && !a.Prefix.Addr().IsLinkLocalUnicast() {
			addrs = append(addrs, a.Prefix)
		}
	})
	return addrs, err
}

// HasAddr says whether the pod has an address.
func (e PodEnd) HasAddr(a netip.Addr) bool {
	for _, p := range e.Addrs {
		if p.Addr() == a {
			return true
		}
	}
	return false
}
