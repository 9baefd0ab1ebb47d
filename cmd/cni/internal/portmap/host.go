package portmap

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netfilter"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/sysctl"
)

// allowLocalnet lets packets from loopback addresses out to the pod of these forwards, if they are
// to be masqueraded: without it the kernel drops them before that. It stays, as it is the
// interface's, which other pods have too.
func allowLocalnet(forwards []forward) error {
	setting, err := localnetOf(forwards)
	if err != nil || setting == nil {
		return err
	}
	return sysctl.Write(*setting)
}

// checkLocalnet names the setting if it is needed and not as it has to be.
func checkLocalnet(forwards []forward) (string, error) {
	setting, err := localnetOf(forwards)
	if err != nil || setting == nil {
		return "", err
	}
	got, err := sysctl.Read(setting.Path)
	if err != nil || got == setting.Value {
		return "", err
	}
	return "sysctl " + setting.Path, nil
}

// localnetOf returns the setting of the interface that leads to the pod; nil if none is needed, or
// nothing leads there.
func localnetOf(forwards []forward) (*device.Setting, error) {
	if !masquerades(forwards) {
		return nil, nil
	}
	conn, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	pod := forwards[0].pod.Addr()
	index, direct, err := conn.RouteTo(pod)
	if err != nil || index == 0 || !direct {
		return nil, err
	}
	link, err := conn.LinkByIndex(index)
	if err != nil {
		return nil, fmt.Errorf("the interface that leads to %s: %w", pod, err)
	}
	return &device.Setting{Path: "net/ipv4/conf/" + link.Name + "/route_localnet", Value: "1"}, nil
}

// forget has the kernel forget the UDP connections to these ports of the host, which otherwise go
// on where they went before, for ever if the peer keeps sending. Connections to other hosts' ports
// of the same numbers stay.
func forget(conn *netfilter.Conn, mappings []mapping) error {
	hosts := map[netip.AddrPort]bool{}
	ports := map[uint16]bool{}
	for _, m := range mappings {
		if m.protocol == "udp" {
			hosts[m.host], ports[m.host.Port()] = true, true
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	local, err := localAddresses()
	if err != nil {
		return err
	}
	concerned := func(to netip.AddrPort) bool {
		all := netip.IPv4Unspecified()
		if to.Addr().Is6() {
			all = netip.IPv6Unspecified()
		}
		here := local[to.Addr()] || to.Addr().IsLoopback()
		return hosts[to] || hosts[netip.AddrPortFrom(all, to.Port())] && here
	}
	numbers := slices.Collect(maps.Keys(ports))
	return conn.ForgetConnections(netfilter.Protocols["udp"], numbers, concerned)
}

// localAddresses returns the host's addresses.
func localAddresses() (map[netip.Addr]bool, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the host's addresses: %w", err)
	}
	local := map[netip.Addr]bool{}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			local[p.Addr()] = true
		}
	}
	return local, nil
}
