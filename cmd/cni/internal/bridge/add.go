package bridge

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/spoof"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// Verbs is the plugin.
func Verbs() protocol.Verbs {
	return protocol.Verbs{Add: add, Del: del, Check: check, Status: status, GC: gc}
}

// rollback is what a failed ADD takes back, the last thing first.
type rollback struct {
	steps      []func() error
	superseded func() bool // another ADD of this attachment has taken over; nil: none can have
}

func (r *rollback) push(f func() error) { r.steps = append(r.steps, f) }

// run leaves everything to an ADD that has taken over: what this one made is replaced, or is that one's too.
func (r *rollback) run() {
	if r.superseded != nil && r.superseded() {
		return
	}
	for _, step := range slices.Backward(r.steps) {
		_ = step() // the error of the ADD is the one to tell; the runtime's DEL tries again
	}
}

// add connects the pod. It leaves nothing behind if it fails.
func add(req *protocol.Request) (result *current.Result, err error) {
	c, err := decode(req)
	if err != nil {
		return nil, err
	}
	if err := c.validate(); err != nil {
		return nil, err
	}
	pod, err := openPod(req)
	if err != nil {
		return nil, err
	}
	defer pod.Close()
	h, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var undo rollback
	defer func() {
		if err != nil {
			undo.run()
		}
	}()
	return connect(req, c, h, pod, &undo)
}

// connect is an ADD's work, in the order in which the cheap refusals come first. Another IPAM plugin is called when the pod
// has its interface, which it may ask the network through, as dhcp does.
func connect(req *protocol.Request, c *config, h *netlink.Conn, pod *netns.Namespace, undo *rollback) (*current.Result, error) {
	mac, err := c.podMAC(req)
	if err != nil {
		return nil, err
	}
	br, err := ensureBridge(req, h, c)
	if err != nil {
		return nil, err
	}
	v := newVeth(req, c, br, mac)
	var host *netlink.Link
	if c.delegates() {
		if host, err = c.attach(req, h, v, pod, undo); err != nil {
			return nil, err
		}
		if err := c.offerLink(h, v, pod, host.Parent); err != nil {
			return nil, err
		}
	}
	a, err := allocate(req, c, undo)
	if err != nil {
		return nil, err
	}
	a.completeGateways(c)
	gateway := br
	if c.IsGateway && c.layer3() {
		if gateway, err = c.ensureGatewayLink(h, br); err != nil {
			return nil, err
		}
		if err := ensureGateway(req, h, gateway, c, a.gateways()); err != nil {
			return nil, err
		}
	}
	masqueraded, err := ensureMasquerade(req, c, a)
	if masqueraded { // and not by another ADD of this attachment
		undo.push(func() error { return forgetMasquerade(req, c) })
	}
	if err != nil {
		return nil, err
	}
	if host == nil {
		if host, err = c.attach(req, h, v, pod, undo); err != nil {
			return nil, err
		}
	}
	if !c.DisableContainerInterface {
		if err := c.startPod(req, h, br, gateway, host, v, pod, a, undo); err != nil {
			return nil, err
		}
	}
	r := c.result(req, br, v, host, a)
	if gateway != br {
		r.Interfaces = append(r.Interfaces, &current.Interface{Name: gateway.Name, Mac: gateway.MAC.String(), Mtu: gateway.MTU})
	}
	return r, nil
}

// attach makes the veth a port of the bridge that is all that the configuration asks of a port.
func (c *config) attach(req *protocol.Request, h *netlink.Conn, v *veth, pod *netns.Namespace, undo *rollback) (*netlink.Link, error) {
	host, err := v.addOrReplace(req, h, pod)
	if err != nil {
		return nil, err
	}
	undo.superseded = func() bool { return replaced(h, host) }
	undo.push(func() error { return deleteVeth(h, host) })
	if err := c.setVLANs(h, v.bridge, host.Index, c.VLANTrunk); err != nil {
		return nil, err
	}
	if c.MACSpoofChk {
		undo.push(func() error { return forgetGuard(req, c) })
		if err := spoof.Guard(req.ContainerID, req.IfName, v.name, v.peerMAC); err != nil {
			return nil, err
		}
	}
	return host, nil
}

// startPod configures the pod's end, waits until the bridge and its port work, and has the pod announce itself.
func (c *config) startPod(req *protocol.Request, h *netlink.Conn, br, gateway, host *netlink.Link, v *veth, pod *netns.Namespace, a *addressing, undo *rollback) error {
	end, err := enterPod(pod, req.IfName, host.Parent, func() error { return c.podSettings(req.IfName, a) })
	if err != nil {
		return err
	}
	defer end.Close()
	if err := end.configure(a, c); err != nil {
		return err
	}
	var entries []*netlink.Message
	if c.IsGateway {
		if err := dropNeighbours(h, gateway, a.reclaimed); err != nil {
			return err
		}
		undo.push(func() error { return dropNeighbours(h, gateway, a.hosts()) })
		entries = neighbours(gateway, c, a, v.peerMAC)
	}
	now, err := awaitLinks(h, v.name, br.Name, entries...)
	if err != nil {
		return err
	}
	*br = *now // what the result tells: a port may change a bridge's MTU
	if err := c.awaitAddresses(h, gateway, end, a, v.peerMAC); err != nil {
		return err
	}
	return end.announce(v.peerMAC)
}

// awaitAddresses waits for the gateways' addresses, which are there unless this pod is the first, and for the pod's, which the
// kernel has got to meanwhile more often than not. Where duplicates are looked for, the pod's have been waited for already,
// and the gateways' are not, as pods never have.
func (c *config) awaitAddresses(h *netlink.Conn, gateway *netlink.Link, end *podEnd, a *addressing, mac net.HardwareAddr) error {
	if c.EnableDAD {
		return nil
	}
	if c.IsGateway {
		var addrs []netip.Addr
		for _, g := range a.gateways() {
			addrs = append(addrs, g.Addr())
		}
		if err := awaitAddresses(h, gateway, addrs, netip.Addr{}); err != nil {
			return err
		}
	}
	return awaitAddresses(end.Conn, &netlink.Link{Name: end.name, Index: end.index}, a.hosts(), linkLocalOf(mac))
}

func (a *addressing) hosts() []netip.Addr {
	var hosts []netip.Addr
	for _, addr := range a.addrs {
		hosts = append(hosts, addr.prefix.Addr())
	}
	return hosts
}

// openPod opens the pod's namespace and refuses the host's, before anything is done.
func openPod(req *protocol.Request) (*netns.Namespace, error) {
	pod, err := netns.Open(req.Netns)
	switch {
	case errors.Is(err, netns.ErrHost):
		return nil, protocol.Errorf(protocol.CodeEnvironment, "CNI_NETNS %w: a pod with the host's network is not for CNI", err)
	case errors.Is(err, netns.ErrGone):
		return nil, protocol.Errorf(protocol.CodeContainer, "CNI_NETNS %w: the container has gone, or was never there", err)
	case err != nil:
		return nil, protocol.Errorf(protocol.CodeIO, "%w", err)
	}
	return pod, nil
}

// result is what the runtime gets: bridge, host's end, pod's end, to which the addresses belong.
func (c *config) result(req *protocol.Request, br *netlink.Link, v *veth, host *netlink.Link, a *addressing) *current.Result {
	mtu := host.MTU
	r := &current.Result{Routes: a.routes, DNS: a.dns, Interfaces: []*current.Interface{
		{Name: br.Name, Mac: br.MAC.String(), Mtu: br.MTU},
		{Name: v.name, Mac: v.mac.String(), Mtu: mtu},
		{Name: v.peer, Mac: v.peerMAC.String(), Mtu: mtu, Sandbox: req.Netns},
	}}
	for _, addr := range a.addrs {
		r.IPs = append(r.IPs, &current.IPConfig{Interface: current.Int(2), Address: *ipNet(addr.prefix), Gateway: addr.gateway.AsSlice()})
	}
	if !c.DNS.IsEmpty() {
		r.DNS = c.DNS
	}
	return r
}
