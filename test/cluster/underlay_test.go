package cluster

import (
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// mtuOf is the MTU of a node's device as ip prints it.
func mtuOf(n *lab.Node, device string) string {
	fields := strings.Fields(n.Sh("ip -o link show " + device))
	for i, f := range fields {
		if f == "mtu" {
			return fields[i+1]
		}
	}
	return ""
}

// takeIP takes the node's ip away. Another address of the subnet keeps the foreign routes that lead
// through it.
func takeIP(n *lab.Node, ip string) {
	n.SetSysctl("net/ipv4/conf/eth0/promote_secondaries", "1")
	n.Must("ip", "addr", "add", "192.0.2.250/24", "dev", "eth0")
	n.Must("ip", "addr", "del", ip+"/24", "dev", "eth0")
}

// While the node's ip is on no link nobody knows the underlay's MTU, and the pods' stays; as long
// as the underlay is too small for IPv6, the pods keep theirs, and all else is healed. Both end by
// themselves.
func TestUnderlayComesAndGoes(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	ip := topology.Nodes[0].IP
	n.Must("ip", "link", "set", "eth0", "mtu", "1420")
	n.Start()
	n.AwaitInForce()
	same := func(when, want string) {
		t.Helper()
		for _, device := range []string{"cni0", "podnet.1"} {
			if got := mtuOf(n, device); got != want {
				t.Errorf("%s: %s has mtu %s, want %s", when, device, got, want)
			}
		}
		if conflist, err := n.ReadFile("/etc/cni/net.d/10-podnet.conflist"); err != nil || !strings.Contains(conflist, `"mtu": `+want) {
			t.Errorf("%s: want mtu %s in %s (%v)", when, want, conflist, err)
		}
	}
	same("at first", "1370")

	takeIP(n, ip)
	n.AwaitCondition("Ready", "False")
	same("without the ip", "1370")
	n.Must("ip", "addr", "add", ip+"/24", "dev", "eth0")
	n.AwaitCondition("Ready", "True") // the status that misses the ip is in sync, too
	same("with it again", "1370")

	n.Must("ip", "link", "set", "eth0", "mtu", "1320")
	n.AwaitCondition("Degraded", "True", "the pods' MTU would be 1270 and IPv6 needs 1280: raise the MTU of eth0 (1320)")
	if out := n.Podnetctl("status"); out.Code != 1 || !strings.Contains(out.Stdout, "which failed") || strings.Contains(out.Stdout, "nothing to do") {
		t.Errorf("status of a pass that could not do all: exit code %d\n%s", out.Code, out.Stdout)
	}
	n.Must("ip", "route", "del", "10.244.1.0/24")
	n.Must("iptables", "-F", "PODNET-FORWARD")
	lab.Eventually(t, lab.Patience, "route and rules are healed", func() error {
		routes, rules := n.Sh("ip route show 10.244.1.0/24"), n.Sh("iptables -S PODNET-FORWARD")
		if !strings.Contains(routes, "podnet.1") || !strings.Contains(rules, "ACCEPT") {
			return fmt.Errorf("%s%s", routes, rules)
		}
		return nil
	})
	same("with a small underlay", "1370")
	if out := n.Podnetctl("status"); out.Code != 1 || !strings.Contains(out.Stdout, "1280") {
		t.Errorf("status, exit code %d:\n%s", out.Code, out.Stdout)
	}
	n.Must("ip", "link", "set", "eth0", "mtu", "1500")
	n.AwaitInForce()
	same("with a large one", "1450")
}

// A node whose podCIDRs were taken away while it has a pod is in sync, and says that the pod is
// there.
func TestPodOnANodeWithoutPodCIDR(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Pod("web")
	n.WriteFile(nextPath, strings.Replace(topology.String(), `podCIDRs: ["10.244.0.0/24", "fd00:10:244::/64"]`, "podCIDRs: []", 1))
	exits(t, n.Podnetctl("apply", "--allow-disruption", n.Path(nextPath)), 0, "apply")
	n.AwaitCondition("Ready", "False")
	c := n.AwaitCondition("Degraded", "True", "no podCIDR")
	if s, err := n.Status(); err != nil || !s.InSync || s.LastPass.Failed > 0 {
		t.Errorf("%+v, %+v, %v", s.LastPass, c, err)
	}
}
