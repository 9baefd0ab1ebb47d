package lab

import (
	"fmt"
	"os"
	"strings"

	"github.com/podnet/podnet/test/contract"
)

// Harm is one thing that somebody does to a node behind podnet's back.
type Harm struct {
	What string
	Do   func()

	node  *Node
	query string   // shows the object
	want  []string // what the query's output holds while the object is right
}

// Undone looks whether the object is right again. It costs one process, so that it can be called
// often; compare State for the certainty that no other trace is left.
func (h Harm) Undone() error {
	out, err := h.node.Exec(strings.Fields(h.query)...)
	for _, want := range h.want {
		if err == nil && !strings.Contains(out, want) {
			err = fmt.Errorf("%s: no %q in %q", h.query, want, out)
		}
	}
	return err
}

// Harms are the ways to harm a node of a dual stack topology with default names, by way of one of
// its peers where that matters. All but the last leave the pods' own links alone.
func (n *Node) Harms(t Topology, peer string) []Harm {
	n.lab.Helper()
	var self, other Entry
	for _, e := range t.Nodes {
		switch e.Name {
		case n.Host:
			self = e
		case peer:
			other = e
		}
	}
	if len(self.PodCIDRs) != 2 || len(other.PodCIDRs) != 2 {
		n.lab.Fatalf("harm on %s by way of %s: both need an entry with two podCIDRs", n.Host, peer)
	}
	mac := contract.VTEPMAC(t.Name, peer)
	via4 := strings.TrimSuffix(other.PodCIDRs[0], "/24")
	via6 := contract.LinkLocal(mac).String()
	gateway4 := strings.TrimSuffix(self.PodCIDRs[0], "0/24") + "1/24"
	gateway6 := strings.TrimSuffix(self.PodCIDRs[1], "/64") + "1/64"
	sh := func(line string) func() { return func() { n.lab.Helper(); n.Sh(line) } }

	return []Harm{
		{"an IPv4 route deleted", sh("ip route del " + other.PodCIDRs[0]), n,
			"ip route show " + other.PodCIDRs[0], []string{"via " + via4 + " dev podnet.1"}},
		{"an IPv6 route deleted", sh("ip -6 route del " + other.PodCIDRs[1]), n,
			"ip -6 route show " + other.PodCIDRs[1], []string{"via " + via6 + " dev podnet.1"}},
		{"an IPv6 route's source changed",
			sh("ip -6 route replace " + other.PodCIDRs[1] + " via " + via6 + " dev podnet.1 proto 72 metric 1024"), n,
			"ip -6 route show " + other.PodCIDRs[1], []string{"src " + strings.TrimSuffix(gateway6, "/64")}},
		{"an FDB entry deleted", sh("bridge fdb del " + mac + " dev podnet.1 dst " + other.IP), n,
			"bridge fdb show dev podnet.1", []string{mac + " dst " + other.IP}},
		{"an FDB entry turned to another host",
			sh("bridge fdb replace " + mac + " dev podnet.1 dst 192.0.2.222 self permanent"), n,
			"bridge fdb show dev podnet.1", []string{mac + " dst " + other.IP}},
		{"an IPv4 neighbour deleted", sh("ip neigh del " + via4 + " dev podnet.1"), n,
			"ip neigh show " + via4 + " dev podnet.1", []string{mac, "PERMANENT"}},
		{"an IPv6 neighbour deleted", sh("ip neigh del " + via6 + " dev podnet.1"), n,
			"ip neigh show " + via6 + " dev podnet.1", []string{mac, "PERMANENT"}},
		{"the vxlan device set down", sh("ip link set podnet.1 down"), n,
			"ip route show " + other.PodCIDRs[0], []string{"via " + via4 + " dev podnet.1"}},
		{"the vxlan device deleted", sh("ip link del podnet.1"), n,
			"ip route show " + other.PodCIDRs[0], []string{"via " + via4 + " dev podnet.1"}},
		{"the vxlan device's MTU changed", sh("ip link set podnet.1 mtu 1300"), n,
			"ip link show podnet.1", []string{"mtu 1450"}},
		{"the vxlan device's ARP switched off", sh("ip link set podnet.1 arp off"), n,
			"ip neigh show " + via4 + " dev podnet.1", []string{mac, "PERMANENT"}},
		{"the bridge's ARP switched off", sh("ip link set cni0 arp off"), n,
			"ip link show cni0", []string{"MULTICAST,UP"}},
		{"a spanning tree on the bridge", sh("ip link set cni0 type bridge stp_state 1"), n,
			"ip -d link show cni0", []string{"stp_state 0"}},
		{"the vxlan device's carrier taken", sh("ip link set podnet.1 protodown on"), n,
			"ip link show podnet.1", []string{",UP,LOWER_UP"}},
		{"the vxlan device's TTL changed", sh("ip link set podnet.1 type vxlan ttl 1"), n,
			"ip -d link show podnet.1", []string{"ttl auto"}},
		{"the bridge's IPv4 address deleted", sh("ip addr del " + gateway4 + " dev cni0"), n,
			"ip addr show dev cni0", []string{gateway4}},
		{"the bridge's IPv6 address deleted", sh("ip addr del " + gateway6 + " dev cni0"), n,
			"ip addr show dev cni0", []string{gateway6}},
		{"ip_forward switched off", func() { n.SetSysctl("net/ipv4/ip_forward", "0") }, n,
			"cat /proc/sys/net/ipv4/ip_forward", []string{"1"}},
		{"the bridge's forwarding switched off", func() { n.SetSysctl("net/ipv4/conf/cni0/forwarding", "0") }, n,
			"cat /proc/sys/net/ipv4/conf/cni0/forwarding", []string{"1"}},
		{"the vxlan device's forwarding switched off", func() { n.SetSysctl("net/ipv4/conf/podnet.1/forwarding", "0") }, n,
			"cat /proc/sys/net/ipv4/conf/podnet.1/forwarding", []string{"1"}},
		{"the masquerade chain flushed", sh("iptables -t nat -F PODNET-MASQUERADE"), n,
			"iptables -t nat -S PODNET-MASQUERADE", []string{"-A PODNET-MASQUERADE"}},
		{"the forward chain flushed", sh("iptables -F PODNET-FORWARD"), n,
			"iptables -S PODNET-FORWARD", []string{"-A PODNET-FORWARD"}},
		{"the jump to the forward chain deleted", sh("iptables -D FORWARD 1"), n,
			"iptables -S FORWARD", []string{"PODNET-FORWARD"}},
		{"the conflist removed", func() { n.lab.must(os.Remove(n.Path(ConflistPath))) }, n,
			"cat " + n.Path(ConflistPath), []string{`"bridge"`}},
		{"the bridge deleted", sh("ip link del cni0"), n,
			"ip addr show dev cni0", []string{contract.BridgeMAC(t.Name, n.Host), gateway4, gateway6, ",UP"}},
	}
}
