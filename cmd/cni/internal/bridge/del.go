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
	c, err := decode(req)
	if err != nil {
		return err
	}
	h, err := netlink.Dial()
	if err != nil {
		return err
	}
	defer h.Close()
	if c.delegates() {
		err = delegate.Del(req, c.IPAM.Type)
	}
	return errors.Join(err, takeAway(req, c, h))
}

// takeAway removes what the attachment has. Its leases are freed last: as long as the pod can use
// them nobody else may have them. They are held first, so that an ADD of the same attachment that
// is at work ends before, and none begins.
func takeAway(req *protocol.Request, c *config, h *netlink.Conn) error {
	leases, err := hold(req, c)
	if err != nil {
		return err
	}
	br, err := findBridge(h, c.Bridge)
	if err != nil {
		br = nil // without a bridge there is less to remove
	}
	if err := forgetNeighbours(req, c, h, br, leases.Addrs); err != nil {
		return err
	}
	if err := disconnect(req, h, br); err != nil {
		return err
	}
	if err := forgetGuard(req, c); err != nil {
		return err
	}
	if err := leases.Release(req); err != nil {
		return err
	}
	return forgetMasquerade(req, c)
}

// hold takes hold of the attachment's leases, of which another IPAM plugin keeps none here.
func hold(req *protocol.Request, c *config) (*hostlocal.Holding, error) {
	if c.IPAM.Type != hostlocal.Type {
		return &hostlocal.Holding{}, nil
	}
	return hostlocal.Hold(req)
}

// forgetGuard lets go of the port's MAC address, once the port has gone. The configuration may have
// asked for macspoofchk when the pod was added; podnet's own never does.
func forgetGuard(req *protocol.Request, c *config) error {
	if !c.MACSpoofChk && c.Podnet != nil {
		return nil
	}
	return spoof.Release(req.ContainerID, req.IfName)
}

// forgetNeighbours removes the entries that neighbours made: those of the addresses that are
// leased, and those of the result's that still lead to the pod, as the leases may be in another
// place by now.
func forgetNeighbours(req *protocol.Request, c *config, h *netlink.Conn, br *netlink.Link, addrs []netip.Addr) error {
	if br == nil || c.IPAM.Type != hostlocal.Type {
		return nil
	}
	link, err := c.gatewayLink(h, br)
	if err != nil {
		return nil // its neighbours went with it
	}
	if len(addrs) == 0 {
		if addrs, err = c.known(req, h, link); err != nil {
			return err
		}
	}
	return dropNeighbours(h, link, addrs)
}

// known are the addresses of the ADD's result, if there is one, that the host knows by the MAC of
// this attachment's interface.
func (c *config) known(req *protocol.Request, h *netlink.Conn, link *netlink.Link) ([]netip.Addr, error) {
	prev, err := req.PrevResult(c.PrevResult)
	if err != nil || prev == nil {
		return nil, nil // a DEL does without
	}
	macs := map[string]bool{}
	for _, in := range prev.Interfaces {
		macs[in.Mac] = in.Name == req.IfName && in.Sandbox != ""
	}
	addrs := ownPart(req, prev).hosts()
	entries, err := h.Neighbours(link.Index, addrs)
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
func disconnect(req *protocol.Request, h *netlink.Conn, br *netlink.Link) error {
	host, err := findVeth(req, h, vethName(req))
	if err != nil {
		return err
	}
	if host == nil && br != nil && req.Netns != "" {
		if host, err = findPort(req, h, br); err != nil {
			return err
		}
	}
	return deleteVeth(h, host)
}

// findPort returns the port of the bridge that the pod's interface leads to, nil if that leads
// anywhere else or the namespace has gone.
func findPort(req *protocol.Request, h *netlink.Conn, br *netlink.Link) (*netlink.Link, error) {
	pod, err := netns.Open(req.Netns)
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
	inside, err := p.LinkByName(req.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return portOf(req, h, br, pod, inside)
}

// portOf returns the other end of a pod's link if it is a port of the bridge, else nil. One that is
// named for another attachment is that one's, as after an ADD that was refused because the
// interface was there.
func portOf(req *protocol.Request, h *netlink.Conn, br *netlink.Link, pod *netns.Namespace, inside *netlink.Link) (*netlink.Link, error) {
	if inside.Parent == 0 {
		return nil, nil
	}
	host, err := h.LinkByIndex(inside.Parent)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if host.Name != vethName(req) && device.IsVethName(host.Name) {
		return nil, nil
	}
	if paired, err := pairs(h, pod, host, inside); err != nil || !paired || host.Master != br.Index {
		return nil, err
	}
	return host, nil
}
