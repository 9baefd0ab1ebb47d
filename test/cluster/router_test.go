package cluster

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// No pod, and nobody who reaches the tunnel's port, becomes the router of a host that listens to advertisements, also where
// pods speak IPv4 only.
func TestNobodyPosesAsRouter(t *testing.T) {
	l := lab.New(t)
	n := l.Node("node-a")
	topology := l.Topology()
	topology.Nodes[0].PodCIDRs = topology.Nodes[0].PodCIDRs[:1]
	n.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
	n.Write(topology.String())
	n.Start()
	n.AwaitInForce()
	pod := n.Pod("web")
	lab.Eventually(t, lab.Patience, "the pod's advertisement", func() error { return pod.Advertise("eth0") })
	if err := l.Outside().AdvertiseInTunnel(netip.MustParseAddrPort(n.IP4+":8472"), 1); err != nil {
		t.Fatal(err)
	}
	routers := routedBy(t, l, n)
	for _, device := range []string{"cni0", "podnet.1"} {
		if strings.Contains(routers, "dev "+device) {
			t.Errorf("the host's router is behind %s:\n%s", device, routers)
		}
	}
}

// routedBy has the underlay's router advertise itself, which the node believes, and returns the routes of all whom it believes
// by then.
func routedBy(t *testing.T, l *lab.Lab, n *lab.Node) string {
	t.Helper()
	if _, err := l.Outside().Sh("ip addr replace fe80::1/64 dev switch nodad"); err != nil {
		t.Fatal(err)
	}
	if err := l.Outside().Advertise("switch"); err != nil {
		t.Fatal(err)
	}
	routers := ""
	lab.Eventually(t, lab.Patience, "the underlay's router", func() error {
		if routers = n.Sh("ip -6 route show default proto ra"); !strings.Contains(routers, "dev eth0") {
			return fmt.Errorf("no route over eth0: %q", routers)
		}
		return nil
	})
	return routers
}
