package portmap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/firewall"
	"github.com/podnet/podnet/cmd/cni/internal/rtnl"
	"github.com/podnet/podnet/state/device"
)

// allowLocalnet lets packets from loopback addresses out to the pod of these forwards, if they are to be masqueraded: without
// it the kernel drops them before that. It stays, as it is the interface's, which other pods have too.
func allowLocalnet(forwards []forward) error {
	setting, err := localnetOf(forwards)
	if err != nil || setting == nil {
		return err
	}
	return setting.Write()
}

// checkLocalnet names the setting if it is needed and not as it has to be.
func checkLocalnet(forwards []forward) (string, error) {
	setting, err := localnetOf(forwards)
	if err != nil || setting == nil {
		return "", err
	}
	got, err := device.Read(setting.Path)
	if err != nil || got == setting.Value {
		return "", err
	}
	return "sysctl " + setting.Path, nil
}

// localnetOf is the setting of the interface that leads to the pod; nil if none is needed, or nothing leads there.
func localnetOf(forwards []forward) (*device.Setting, error) {
	if !masquerades(forwards) {
		return nil, nil
	}
	conn, err := rtnl.Dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	pod := forwards[0].pod.Addr()
	index, err := routeTo(conn, pod)
	if err != nil || index == 0 {
		return nil, err
	}
	link, err := conn.LinkByIndex(index)
	if err != nil {
		return nil, fmt.Errorf("the interface that leads to %s: %w", pod, err)
	}
	return &device.Setting{Path: "net/ipv4/conf/" + link.Name + "/route_localnet", Value: "1"}, nil
}

// routeTo is the interface over which the kernel would send to an address, 0 if it would not.
func routeTo(conn *rtnl.Conn, addr netip.Addr) (int, error) {
	head := make([]byte, unix.SizeofRtMsg)
	head[0], head[1] = unix.AF_INET, 32
	answers, err := conn.Exchange(rtnl.NewMessage(unix.RTM_GETROUTE, 0, head).Bytes(unix.RTA_DST, addr.AsSlice()))
	if err != nil {
		return 0, err
	}
	if errors.Is(answers[0].Err, unix.ENETUNREACH) || errors.Is(answers[0].Err, unix.EHOSTUNREACH) {
		return 0, nil
	}
	if answers[0].Err != nil || len(answers[0].Data) == 0 || len(answers[0].Data[0]) < unix.SizeofRtMsg {
		return 0, fmt.Errorf("route to %s: %w", addr, answers[0].Err)
	}
	out := rtnl.Attributes(answers[0].Data[0][unix.SizeofRtMsg:])[unix.RTA_OIF]
	if len(out) != 4 {
		return 0, nil
	}
	return int(binary.NativeEndian.Uint32(out)), nil
}

// forget has the kernel forget the UDP connections to these ports of the host, which otherwise go on where they went before,
// for ever if the peer keeps sending. Connections to other hosts' ports of the same numbers stay.
func forget(conn *firewall.Conn, maps []mapping) error {
	var udp []mapping
	var ports []uint16
	for _, m := range maps {
		if m.protocol == "udp" {
			udp, ports = append(udp, m), append(ports, m.host.Port())
		}
	}
	if len(udp) == 0 {
		return nil
	}
	local, err := localAddresses()
	if err != nil {
		return err
	}
	return conn.ForgetConnections(protocols["udp"], ports, func(to netip.AddrPort) bool {
		return slices.ContainsFunc(udp, func(m mapping) bool {
			return m.host == to || m.wild() && m.ipv6() == to.Addr().Is6() && m.host.Port() == to.Port() && (local[to.Addr()] || to.Addr().IsLoopback())
		})
	})
}

// localAddresses are the host's.
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
