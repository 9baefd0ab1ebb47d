package bridge

import (
	"errors"
	"net/netip"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/spoof"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// Verbs returns what the plugin does.
func Verbs() protocol.Verbs {
	return protocol.Verbs{Add: add, Del: del, Check: check, Status: status, GC: gc}
}

// rollback is what a failed ADD takes back, the last thing first.
type rollback []func() error

func (r *rollback) push(f func() error) { *r = append(*r, f) }

func (r rollback) run() {
	for _, step := range slices.Backward(r) {
		_ = step() // the error of the ADD is the one to tell; the runtime's DEL tries again
	}
}

// attachment is an ADD at work: what it was asked for, and what it has made so far.
type attachment struct {
	*call
	pod  *netns.Namespace
	undo rollback

	bridge  *netlink.Link
	gateway *netlink.Link // the link with the gateways' addresses: the bridge, or the VLAN's interface
	veth    *veth
	port    *netlink.Link // the host's end of the veth; nil if there is none yet
	addrs   *addressing
}

// add connects the pod. It leaves nothing behind if it fails.
func add(req *protocol.Request) (result *current.Result, err error) {
	c, err := open(req)
	if err != nil {
		return nil, err
	}
	defer c.host.Close()
	if err := c.validate(); err != nil {
		return nil, err
	}
	pod, err := openPod(req)
	if err != nil {
		return nil, err
	}
	defer pod.Close()
	if err := alone(pod); err != nil {
		return nil, err
	}
	a := &attachment{call: c, pod: pod}
	if err := a.connect(); err != nil {
		a.undo.run()
		return nil, err
	}
	return a.result(), nil
}

// connect does an ADD's work, in the order in which the cheap refusals come first. Another IPAM
// plugin is called when the pod has its interface, which it may ask the network through, as dhcp
// does.
func (a *attachment) connect() error {
	mac, err := a.podMAC()
	if err != nil {
		return err
	}
	if a.bridge, err = a.ensureBridge(); err != nil {
		return err
	}
	a.veth = a.newVeth(a.bridge, mac)
	if a.delegates() {
		if err := a.plug(); err != nil {
			return err
		}
		if err := a.offerLink(); err != nil {
			return err
		}
	}
	if a.addrs, err = a.allocate(mac, &a.undo); err != nil {
		return err
	}
	a.addrs.completeGateways(a.config)
	if err := a.ensureGateways(); err != nil {
		return err
	}
	masqueraded, err := a.ensureMasquerade(a.addrs)
	if masqueraded { // and not by another ADD of this attachment
		a.undo.push(a.forgetMasquerade)
	}
	if err != nil {
		return err
	}
	if a.port == nil {
		if err := a.plug(); err != nil {
			return err
		}
	}
	if a.DisableContainerInterface {
		return nil
	}
	return a.startPod()
}

// ensureGateways gives the host the gateways' addresses, if the configuration asks for that.
func (a *attachment) ensureGateways() (err error) {
	a.gateway = a.bridge
	if !a.IsGateway || !a.layer3() {
		return nil
	}
	if a.gateway, err = a.ensureGatewayLink(a.bridge); err != nil {
		return err
	}
	return a.ensureGateway(a.gateway, a.addrs.gateways())
}

// plug makes the veth, and its host end a port of the bridge with all that the configuration asks
// of a port.
func (a *attachment) plug() (err error) {
	a.undo.push(a.forgetSender)
	a.veth.allow = a.allowSender
	if a.port, err = a.addOrReplace(a.veth, a.pod); err != nil {
		return err
	}
	a.undo.push(func() error { return deleteVeth(a.host, a.port) })
	if err := a.setVLANs(a.bridge, a.port.Index, a.VLANTrunk); err != nil {
		return err
	}
	if !a.MACSpoofChk {
		return nil
	}
	a.undo.push(a.forgetGuard)
	return spoof.Guard(a.ContainerID, a.IfName, a.veth.name, a.veth.peerMAC)
}

// startPod configures the pod's end, waits until the bridge and its port work, and has the pod
// announce itself.
func (a *attachment) startPod() error {
	settings := func() error { return a.podSettings(a.IfName, a.addrs) }
	end, err := enterPod(a.pod, a.IfName, a.port.Parent, settings)
	if err != nil {
		return err
	}
	defer end.Close()
	if err := end.configure(a.addrs, a.config); err != nil {
		return err
	}
	var entries []*netlink.Message
	if a.IsGateway {
		if err := dropNeighbours(a.host, a.gateway, a.addrs.reclaimed); err != nil {
			return err
		}
		a.undo.push(func() error { return dropNeighbours(a.host, a.gateway, a.addrs.hosts()) })
		entries = neighbours(a.gateway, a.config, a.addrs, a.veth.peerMAC)
	}
	now, err := awaitLinks(a.host, a.veth.name, a.bridge.Name, entries...)
	if err != nil {
		return err
	}
	*a.bridge = *now // what the result tells: a port may change a bridge's MTU
	if err := a.awaitAddresses(end); err != nil {
		return err
	}
	return end.announce(a.veth.peerMAC)
}

// awaitAddresses waits for the gateways' addresses, which are there unless this pod is the first,
// and for the pod's, which the kernel has got to meanwhile more often than not. Where duplicates
// are looked for, the pod's have been waited for already, and the gateways' are not, as pods never
// have.
func (a *attachment) awaitAddresses(end *podEnd) error {
	if a.EnableDAD {
		return nil
	}
	if a.IsGateway {
		var addrs []netip.Addr
		for _, g := range a.addrs.gateways() {
			addrs = append(addrs, g.Addr())
		}
		if err := awaitAddresses(a.host, a.gateway, addrs, netip.Addr{}); err != nil {
			return err
		}
	}
	link := &netlink.Link{Name: end.name, Index: end.index}
	return awaitAddresses(end.Conn, link, a.addrs.hosts(), device.LinkLocal([6]byte(a.veth.peerMAC)))
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
		return nil, protocol.Errorf(protocol.CodeEnvironment,
			"CNI_NETNS %w: a pod with the host's network is not for CNI", err)
	case errors.Is(err, netns.ErrGone):
		return nil, protocol.Errorf(protocol.CodeContainer,
			"CNI_NETNS %w: the container has gone, or was never there", err)
	case err != nil:
		return nil, protocol.Errorf(protocol.CodeIO, "%w", err)
	}
	return pod, nil
}

// alone waits for other ADDs of the pod. One of the same attachment replaces what the one before it
// has made, which would take back from it, if it failed, what both have, such as a lease of another
// IPAM plugin's.
func alone(pod *netns.Namespace) error {
	err := pod.Lock(protocol.NewPatience())
	if errors.Is(err, netns.ErrBusy) {
		return protocol.Errorf(protocol.CodeTryLater, "%w", err)
	}
	return err
}

// result returns what the runtime gets: the bridge, the host's end, the pod's end, to which the
// addresses belong, and the interface with the gateways' addresses if that is not the bridge.
func (a *attachment) result() *current.Result {
	mtu := a.port.MTU
	r := &current.Result{Routes: a.addrs.routes, DNS: a.addrs.dns, Interfaces: []*current.Interface{
		{Name: a.bridge.Name, Mac: a.bridge.MAC.String(), Mtu: a.bridge.MTU},
		{Name: a.veth.name, Mac: a.veth.mac.String(), Mtu: mtu},
		{Name: a.veth.peer, Mac: a.veth.peerMAC.String(), Mtu: mtu, Sandbox: a.Netns},
	}}
	for _, addr := range a.addrs.addrs {
		r.IPs = append(r.IPs, &current.IPConfig{
			Interface: current.Int(2), Address: *ipNet(addr.prefix), Gateway: addr.gateway.AsSlice(),
		})
	}
	if !a.DNS.IsEmpty() {
		r.DNS = a.DNS
	}
	if a.gateway != a.bridge {
		g := a.gateway
		r.Interfaces = append(r.Interfaces,
			&current.Interface{Name: g.Name, Mac: g.MAC.String(), Mtu: g.MTU})
	}
	return r
}
