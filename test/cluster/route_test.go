package cluster

import (
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// A site routes the pods' whole range to a gateway of its own. IPv6 looks a route's gateway up,
// even one that is said to be on link: peers must converge all the same, and pods talk.
func TestAggregateRoutes(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	for _, n := range l.Nodes {
		n.Sh("ip route add 10.244.0.0/16 via " + lab.Gateway4)
		n.Sh("ip -6 route add fd00:10:244::/48 via " + lab.Gateway6)
		n.Start()
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Error(err)
		}
	}
	reach(t, l.Nodes[0].Pod("web"), l.Nodes[1].Pod("db"))
	// Still so after the tunnel was lost.
	n := l.Nodes[0]
	n.Sh("ip link del podnet.1")
	lab.Eventually(t, lab.Patience, "healed", func() error { return n.CheckPeers(topology) })
}

// The same over an IPv6 underlay, from cold: nodes that never spoke before.
func TestIPv6Underlay(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	for i, n := range l.Nodes {
		topology.Nodes[i].IP = n.IP6
	}
	for _, n := range l.Nodes {
		n.Write(topology.String())
		n.Start()
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Error(err)
		}
	}
	reach(t, l.Nodes[0].Pod("web"), l.Nodes[1].Pod("db"))
}

// Pods reach the world outside of the cluster with their node's address, and the cluster with their
// own.
func TestMasquerade(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	p := l.Nodes[0].Pod("web")
	for _, outside := range []string{lab.Gateway4, lab.Gateway6} {
		if err := p.Ping(outside); err != nil { // which knows no way back to the pods
			t.Error(err)
		}
	}
	// The other node's pod sees the pod's own address: it answers only to that, whatever else is
	// tried.
	q := l.Nodes[1].Pod("db")
	for _, rule := range []string{
		"iptables -A INPUT -s " + p.Addr4() + " -j ACCEPT", "iptables -A INPUT -j DROP",
		"ip6tables -A INPUT -s " + p.Addr6() + " -j ACCEPT", "ip6tables -A INPUT -p ipv6-icmp --icmpv6-type echo-request -j DROP",
	} {
		if _, err := q.Sh(rule); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Reach(q); err != nil {
		t.Error(err)
	}
}

// A node that joins and a node that moves: the rest follows the file.
func TestJoinAndMove(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	a := l.Nodes[0].Pod("web")
	b := l.Nodes[1].Pod("db")
	l.Renumber(l.Nodes[1], "192.0.2.99", "2001:db8::99")
	joined := l.Node("node-c")
	topology := l.Topology()
	for _, n := range l.Nodes {
		n.Write(topology.String())
	}
	joined.Start()
	for _, n := range l.Nodes {
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Error(err)
		}
	}
	c := joined.Pod("new")
	reach(t, a, b)
	reach(t, a, c)
	reach(t, b, c)
}
