package bridge

import (
	"errors"
	"net/netip"

	"github.com/podnet/podnet/cmd/cni/internal/delegate"
	"github.com/podnet/podnet/cmd/cni/internal/hostlocal"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/spoof"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// del disconnects the pod. Everything it removes is found by the attachment's names, so that it
// works without the namespace, and again. Another IPAM plugin is called first: dhcp gives a lease
// back through the pod's interface.
func del(req *protocol.Request) error {
	c, err := open(req)
	if err != nil {
		return err
	}
	defer c.host.Close()
	if c.delegates() {
		err = delegate.Del(req, c.ipam)
	}
	return errors.Join(err, c.takeAway())
}

// takeAway removes what the attachment has. Its leases are freed last: as long as the pod can use
// them nobody else may have them. They are held first, so that an ADD of the same attachment that
// is at work ends before, and none begins.
func (c *call) takeAway() error {
	leases, err := c.hold()
	if err != nil {
		return err
	}
	br, err := c.findBridge()
	if err != nil {
		br = nil // without a bridge there is less to remove
	}
	if err := c.forgetNeighbours(br, leases.Addrs); err != nil {
		return err
	}
	if err := c.disconnect(br); err != nil {
		return err
	}
	if err := c.forgetSender(); err != nil {
		return err
	}
	if err := c.forgetGuard(); err != nil {
		return err
	}
	if err := leases.Release(); err != nil {
		return err
	}
	return c.forgetMasquerade()
}

// hold takes hold of the attachment's leases, of which another IPAM plugin keeps none here.
func (c *call) hold() (*hostlocal.Holding, error) {
	if c.local == nil {
		return &hostlocal.Holding{}, nil
	}
	return c.local.Hold()
}

// forgetGuard lets go of the port's MAC address, once the port has gone. The configuration may have
// asked for macspoofchk when the pod was added; podnet's own never does.
func (c *call) forgetGuard() error {
	if !c.MACSpoofChk && c.Podnet != nil {
		return nil
	}
	return spoof.Release(c.ContainerID, c.IfName)
}

// forgetNeighbours removes the entries that neighbours made: those of the addresses that are
// leased, and those of the result's that still lead to the pod, as the leases may be in another
// place by now.
func (c *call) forgetNeighbours(br *netlink.Link, addrs []netip.Addr) error {
	if br == nil || c.local == nil {
		return nil
	}
	link, err := c.gatewayLink(br)
	if err != nil {
		return nil // its neighbours went with it
	}
	if len(addrs) == 0 {
		if addrs, err = c.known(link); err != nil {
			return err
		}
	}
	return dropNeighbours(c.host, link, addrs)
}

// known returns the addresses of the ADD's result, if there is one, that the host knows by the MAC
// of this attachment's interface.
func (c *call) known(link *netlink.Link) ([]netip.Addr, error) {
	prev, err := c.PrevResult()
	if err != nil || prev == nil {
		return nil, nil // a DEL does without
	}
	macs := map[string]bool{}
	for _, in := range prev.Interfaces {
		macs[in.Mac] = in.Name == c.IfName && in.Sandbox != ""
	}
	addrs := c.ownPart(prev).hosts()
	entries, err := c.host.Neighbours(link.Index, addrs)
	if err != nil {
		return nil, err
	}
	var leading []netip.Addr
	for i, e := range entries {
		if e != nil && macs[e.MAC.String()] {
			leading = append(leading, addrs[i])
		}
	}
	return leading, nil
}

// disconnect deletes the veth: the one that the attachment's names lead to, or the one that another
// plugin made for it, which is known by the pod's interface being a port of this bridge.
func (c *call) disconnect(br *netlink.Link) error {
	host, err := c.findVeth()
	if err != nil {
		return err
	}
	if host == nil && br != nil && c.Netns != "" {
		if host, err = c.findPort(br); err != nil {
			return err
		}
	}
	return deleteVeth(c.host, host)
}

// findPort returns the port of the bridge that the pod's interface leads to, nil if that leads
// anywhere else or the namespace has gone.
func (c *call) findPort(br *netlink.Link) (*netlink.Link, error) {
	pod, err := netns.Open(c.Netns)
	if errors.Is(err, netns.ErrGone) || errors.Is(err, netns.ErrHost) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer pod.Close()
	p, err := dialPod(pod)
	if errors.Is(err, netns.ErrGone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer p.Close()
	inside, err := p.LinkByName(c.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.portOf(br, pod, inside)
}

// portOf returns the other end of a pod's link if it is a port of the bridge, else nil. One that is
// named for another attachment is that one's, as after an ADD that was refused because the
// interface was there.
func (c *call) portOf(br *netlink.Link, pod *netns.Namespace, inside *netlink.Link) (*netlink.Link, error) {
	if inside.Parent == 0 {
		return nil, nil
	}
	host, err := c.host.LinkByIndex(inside.Parent)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if host.Name != c.vethName() && device.IsVethName(host.Name) {
		return nil, nil
	}
	if paired, err := pairs(c.host, pod, host, inside); err != nil || !paired || host.Master != br.Index {
		return nil, err
	}
	return host, nil
}
