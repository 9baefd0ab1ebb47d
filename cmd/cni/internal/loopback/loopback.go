package loopback

import (
	"errors"
	"net"

	current "github.com/containernetworking/cni/pkg/types/100"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

const device = "lo" // whatever CNI_IFNAME says

// Verbs returns what the plugin does.
func Verbs() protocol.Verbs { return protocol.Verbs{Add: add, Del: del, Check: check} }

func add(req *protocol.Request) (*current.Result, error) {
	prev, err := req.PrevResult()
	if err != nil {
		return nil, err
	}
	result := &current.Result{Interfaces: []*current.Interface{
		{Name: device, Mac: "00:00:00:00:00:00", Sandbox: req.Netns},
	}}
	err = inPod(req, func(c *netlink.Conn, lo *netlink.Link) error {
		if err := c.Do(netlink.SetUp(lo.Index)); err != nil {
			return err
		}
		addrs, err := c.Addrs(lo.Index)
		for _, a := range addrs {
			if ip := a.Prefix.Addr(); ip.IsLoopback() {
				address := net.IPNet{IP: ip.AsSlice(), Mask: net.CIDRMask(a.Prefix.Bits(), ip.BitLen())}
				result.IPs = append(result.IPs,
					&current.IPConfig{Interface: current.Int(0), Address: address})
			}
		}
		return err
	})
	if prev != nil {
		result = prev
	}
	return result, err
}

// del sets lo down. A namespace that is gone has none, and the host's is not this plugin's.
func del(req *protocol.Request) error {
	if req.Netns == "" {
		return nil
	}
	err := inPod(req, func(c *netlink.Conn, lo *netlink.Link) error {
		return c.Do(netlink.SetDown(lo.Index))
	})
	if errors.Is(err, netns.ErrGone) || errors.Is(err, netns.ErrHost) {
		return nil
	}
	return err
}

func check(req *protocol.Request) error {
	return inPod(req, func(_ *netlink.Conn, lo *netlink.Link) error {
		if !lo.Up() {
			return protocol.Errorf(protocol.CodeChanged,
				"lo in %s is down: ip -n NAMESPACE link set lo up", req.Netns)
		}
		return nil
	})
}

// inPod calls f with the pod's lo, over a socket that was opened in there.
func inPod(req *protocol.Request, f func(*netlink.Conn, *netlink.Link) error) error {
	pod, err := netns.Open(req.Netns)
	if err != nil {
		return protocol.Errorf(protocol.CodeContainer, "CNI_NETNS: %w", err)
	}
	defer pod.Close()
	var c *netlink.Conn
	if err := pod.Do(func() (err error) { c, err = netlink.Dial(); return err }); err != nil {
		return err
	}
	defer c.Close()
	lo, err := c.LinkByName(device)
	if err != nil {
		return err
	}
	return f(c, lo)
}
