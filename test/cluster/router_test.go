package cluster

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// No pod, and nobody who reaches the tunnel's port, becomes the router of a host that listens to
// advertisements, also where pods speak IPv4 only.
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

// Switching IPv6 forwarding on costs the host no router, also when it has to be done again, which
// is the only thing that is healed: the setting of somebody else's link is not podnet's.
func TestHostKeepsItsRouter(t *testing.T) {
	l, _ := nodes(t, "node-a")
	n := l.Nodes[0]
	n.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
	before := routedBy(t, l, n)
	n.Start()
	n.AwaitInForce()
	stays := func() {
		t.Helper()
		if after := n.Sh("ip -6 route show default proto ra"); !strings.Contains(after, strings.Fields(before)[2]) {
			t.Errorf("the router has gone, from %qto %q", before, after)
		}
	}
	stays()
	n.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
	n.SetSysctl("net/ipv6/conf/all/forwarding", "0")
	before = routedBy(t, l, n)
	lab.Eventually(t, lab.Patience, "the forwarding, and nothing else, is healed", func() error {
		if s, err := n.Status(); err != nil || s.HealedTotal["sysctl"] != 1 {
			return fmt.Errorf("healed %v, %v", s.HealedTotal, err)
		}
		return nil
	})
	stays()
}

// What forwards already has no router to lose: no link begins to listen, least of all one that
// guests of somebody else hang on.
func TestForwardingHostBelievesNobodyNew(t *testing.T) {
	l, _ := nodes(t, "node-a")
	n := l.Nodes[0]
	n.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
	n.SetSysctl("net/ipv6/conf/all/forwarding", "1")
	n.Start()
	n.AwaitInForce()
	n.Sh("ip link add guests type bridge")
	n.SetSysctl("net/ipv6/conf/guests/accept_ra", "1")
	exits(t, n.Podnetctl("diff"), 0, "diff with a bridge of somebody else")
	exits(t, n.Podnetctl("apply"), 0, "apply with a bridge of somebody else")
	for _, link := range []string{"eth0", "guests"} {
		if got, err := n.Sysctl("net/ipv6/conf/" + link + "/accept_ra"); err != nil || got != "1" {
			t.Errorf("accept_ra of %s is %s, %v; want 1", link, got, err)
		}
	}
}

// routedBy has the underlay's router advertise itself, which the node believes, and returns the
// routes of all whom it believes by then.
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
