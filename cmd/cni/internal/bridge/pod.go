package bridge

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
	"github.com/podnet/podnet/state/sysctl"
)

// dialPod opens a netlink socket in the pod's namespace.
func dialPod(pod *netns.Namespace) (h *netlink.Conn, err error) {
	err = pod.Do(func() error { h, err = netlink.Dial(); return err })
	return h, err
}

// podEnd is the pod's end of the veth, and the socket in the pod's namespace that it is configured
// over.
type podEnd struct {
	*netlink.Conn
	name  string
	index int
}

// enterPod opens the socket and writes the settings, in one visit to the namespace.
func enterPod(pod *netns.Namespace, ifname string, index int, settings func() error) (*podEnd, error) {
	var h *netlink.Conn
	err := pod.Do(func() (err error) {
		if h, err = netlink.Dial(); err != nil {
			return err
		}
		return settings()
	})
	if err != nil && h != nil {
		h.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("%s in the pod: %w", ifname, err)
	}
	return &podEnd{h, ifname, index}, nil
}

// step is a message and what its refusal means.
type step struct {
	message *netlink.Message
	explain func(error) error
}

// configure gives the pod's end its addresses, sets it up and adds the routes: all at once, unless
// duplicate address detection has to be waited for in between.
func (e *podEnd) configure(a *addressing, c *config) error {
	var steps []step
	for _, addr := range a.addrs {
		message := addAddr(e.index, addr.prefix, c.EnableDAD)
		steps = append(steps, step{message, func(err error) error {
			return fmt.Errorf("add address %s to %s: %w", addr.prefix, e.name, err)
		}})
	}
	steps = append(steps, step{e.start(), func(err error) error {
		return fmt.Errorf("set %s in the pod up: %w", e.name, err)
	}})
	if c.EnableDAD {
		if err := e.run(steps); err != nil {
			return err
		}
		if err := settle(e.Conn, e.index); err != nil {
			return err
		}
		steps = nil
	}
	for _, r := range a.routes {
		route := routeOf(r, a, e.index)
		steps = append(steps, step{route.Put(), func(err error) error {
			return explainRoute(route, err)
		}})
	}
	return e.run(steps)
}

// run sends all steps to the kernel at once and returns what the first refusal means.
func (e *podEnd) run(steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	messages := make([]*netlink.Message, len(steps))
	for i, s := range steps {
		messages[i] = s.message
	}
	answers, err := e.Exchange(messages...)
	if err != nil {
		return err
	}
	for i, a := range answers {
		if a.Err != nil {
			return steps[i].explain(a.Err)
		}
	}
	return nil
}

const (
	inetConf  = 1  // IFLA_INET_CONF
	arpNotify = 22 // IPV4_DEVCONF_ARP_NOTIFY
)

// start sets the pod's end up and has the kernel announce changes of its IPv4 addresses, which it
// lets be set without a visit to /proc.
func (e *podEnd) start() *netlink.Message {
	return netlink.SetUp(e.index).Nest(unix.IFLA_AF_SPEC, func(m *netlink.Message) {
		m.Nest(unix.AF_INET, func(m *netlink.Message) {
			m.Nest(inetConf, func(m *netlink.Message) { m.Uint32(arpNotify, 1) })
		})
	})
}

// announce tells the pod's neighbours that its addresses are its own now: they may remember a pod
// that had them before. The kernel does that, as start and podSettings asked it to, whenever the
// MAC address is set. It must wait for the bridge's port. A packet socket would take an RCU grace
// period to close, which is more than all the rest of an ADD.
func (e *podEnd) announce(mac net.HardwareAddr) error {
	m := netlink.NewMessage(unix.RTM_NEWLINK, 0)
	m.LinkHeader(unix.IfInfomsg{Index: int32(e.index)}).Bytes(unix.IFLA_ADDRESS, mac)
	if err := e.Do(m); err != nil {
		return fmt.Errorf("announce the pod's addresses: %w", err)
	}
	return nil
}

// podSettings writes what netlink cannot: IPv6 for a pod whose runtime switched it off, IPv6
// addresses that outlive the interface's being set down, and that changes of them are announced.
// Only what the pod needs IPv6 for must succeed: /proc/sys may be read-only.
func (c *config) podSettings(ifname string, a *addressing) error {
	c.duplicateSettings(ifname)
	if !slices.ContainsFunc(a.addrs, func(addr address) bool { return addr.prefix.Addr().Is6() }) {
		return nil
	}
	conf := "net/ipv6/conf/" + ifname + "/"
	for _, err := range []error{
		sysctl.Write(device.AllowIPv6("lo")),
		sysctl.Write(device.AllowIPv6(ifname)),
	} {
		if errors.Is(err, fs.ErrNotExist) {
			return noIPv6(ifname)
		}
		if err != nil {
			return fmt.Errorf("setting for the pod's IPv6 addresses: %w", err)
		}
	}
	_ = sysctl.Put(device.Setting{Path: conf + "keep_addr_on_down", Value: "1"})
	_ = sysctl.Put(device.Setting{Path: conf + "ndisc_notify", Value: "1"})
	return nil
}

// duplicateSettings has the kernel take the pod's link-local address up at once, instead of looking
// for duplicates of an address that is made of the MAC for a second or two. Where duplicates are to
// be looked for, the pod's own question that a port in hairpin mode sends back must not count as
// one.
func (c *config) duplicateSettings(ifname string) {
	conf := "net/ipv6/conf/" + ifname + "/"
	if !c.EnableDAD {
		_ = sysctl.Put(device.Setting{Path: conf + "accept_dad", Value: "0"})
		return
	}
	_ = sysctl.Put(device.Setting{Path: conf + "accept_dad", Value: "1"})
	_ = sysctl.Put(device.Setting{Path: conf + "enhanced_dad", Value: "1"})
}

func explainRoute(r netlink.Route, err error) error {
	if errors.Is(err, unix.EEXIST) {
		return protocol.Errorf(protocol.CodeConfig,
			"route %s via %s: the pod has it already: "+
				"remove it from ipam.routes, where it is twice, or from the other network",
			r.Dst, r.Gateway)
	}
	if errors.Is(err, unix.ENETUNREACH) || errors.Is(err, unix.EHOSTUNREACH) {
		return protocol.Errorf(protocol.CodeConfig,
			"route %s: the gateway %s is in none of the pod's networks: "+
				"correct ipam.routes or the range's gateway", r.Dst, r.Gateway)
	}
	return fmt.Errorf("add route %s via %s in the pod: %w", r.Dst, r.Gateway, err)
}

// onLink reports whether a route names a scope that no gateway is in.
func onLink(r *types.Route) bool { return r.Scope != nil && *r.Scope >= unix.RT_SCOPE_LINK }

// routeOf returns one of IPAM's routes as the kernel takes it. It goes over the family's gateway
// if it names none and is not to be on the link.
func routeOf(r *types.Route, a *addressing, index int) netlink.Route {
	gateway, _ := netip.AddrFromSlice(r.GW)
	route := netlink.Route{
		Dst: prefixOf(r.Dst).Masked(), Gateway: gateway.Unmap(), Index: index,
		Priority: r.Priority, MTU: r.MTU, AdvMSS: r.AdvMSS,
	}
	if !route.Gateway.IsValid() && !onLink(r) {
		route.Gateway = a.gatewayFor(route.Dst.Addr().Is4())
	}
	if !route.Gateway.IsValid() && route.Dst.Addr().Is4() {
		route.Scope = unix.RT_SCOPE_LINK
	}
	if r.Table != nil {
		route.Table = *r.Table
	}
	if r.Scope != nil {
		route.Scope = uint8(*r.Scope)
	}
	return route
}
