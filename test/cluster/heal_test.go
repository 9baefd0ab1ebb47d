package cluster

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// The daemons resync every ten minutes, so that an event must have brought about what heals within
// seconds. Not a trace of the harm may be left: the kernel holds afterwards what it held before.
func TestEventsHeal(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	for _, h := range n.Harms(topology, "node-b") {
		t.Run(h.What, func(t *testing.T) {
			before := n.State()
			h.Do()
			took := lab.Eventually(t, lab.Patience, "healed", h.Undone)
			lab.Eventually(t, lab.Patience, "without a trace", func() error { return lab.SameState(before, n.State()) })
			t.Logf("%v", took)
		})
	}
	s, err := n.Status()
	if err != nil || s.Healed() == 0 {
		t.Errorf("healedTotal is %v, %v; want what was healed", s.HealedTotal, err)
	}
	exits(t, n.Podnetctl("status"), 0, "status after all that")
}

// A pod's veth that somebody sets down, or whose port is told to keep frames back, is put right at
// once; one whose pod's end is down is as it should be, and one that is about to be deleted is
// nobody's business any more.
func TestPortHeals(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	a, b := n.Pod("web"), n.Pod("db")
	veth := func(p *lab.Pod) string { return contract.HostVeth("podnet", p.ID, "eth0") }
	reach(t, a, b)
	healed := func(what, query, want string) {
		t.Helper()
		lab.Eventually(t, lab.Patience, what, func() error {
			if out := n.Sh(query); !strings.Contains(out, want) {
				return fmt.Errorf("no %q in %q", want, out)
			}
			return nil
		})
	}
	n.Sh("ip link set " + veth(a) + " down")
	healed("host veth down", "ip -o link show "+veth(a), ",UP")
	for _, p := range []*lab.Pod{a, b} {
		for _, option := range [][2]string{
			{"isolated on", "isolated off"}, {"locked on", "locked off"}, {"flood off", " flood on"}, {"mcast_flood off", "mcast_flood on"},
			{"bcast_flood off", "bcast_flood on"}, {"state 0", "state forwarding"}, {"state 4", "state forwarding"},
		} {
			n.Sh("bridge link set dev " + veth(p) + " " + option[0])
			healed(option[0], "bridge -d link show dev "+veth(p), option[1])
		}
	}
	reach(t, a, b)
	for _, left := range []string{"learning off", "neigh_suppress on", "guard on", "hairpin on"} { // they cut nobody off
		n.Sh("bridge link set dev " + veth(a) + " " + left)
		exits(t, n.Podnetctl("diff"), 0, "diff with "+left)
	}
	reach(t, a, b)
	if _, err := b.Sh("ip link set eth0 down"); err != nil {
		t.Fatal(err)
	}
	exits(t, n.Podnetctl("diff"), 0, "diff with a pod's own end down")
	n.Stop()
	n.Sh("ip link set " + veth(b) + " group 7202 down")
	exits(t, n.Podnetctl("apply"), 0, "apply with a veth that is being deleted")
	if link := n.Sh("ip -o link show " + veth(b)); strings.Contains(link, ",UP") {
		t.Errorf("it was set up: %s", link)
	}
}

// A spanning tree that somebody starts is ended before it keeps a new pod silent: one pass has
// every port forward at once.
func TestOnePassAfterSpanningTree(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	a := n.Pod("web")
	n.Stop()
	n.Sh("ip link set cni0 type bridge stp_state 1 forward_delay 1500")
	b := n.Pod("db")
	if link := n.Sh("bridge link show dev " + contract.HostVeth("podnet", b.ID, "eth0")); strings.Contains(link, "state forwarding") {
		t.Errorf("the new pod's port forwards already: %s", link)
	}
	exits(t, n.Podnetctl("apply"), 0, "apply")
	for _, p := range []*lab.Pod{a, b} {
		if link := n.Sh("bridge link show dev " + contract.HostVeth("podnet", p.ID, "eth0")); !strings.Contains(link, "state forwarding") {
			t.Errorf("a port does not forward: %s", link)
		}
	}
	reach(t, a, b)
}

// Routes lose the address that they send from when it goes: one pass gives them back both, whether
// somebody took the address away or it has to be made anew.
func TestOnePassAfterTheSourceOfRoutes(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	peer := l.Nodes[1].Pod("db").Addr6()
	n.Pod("web") // the bridge's subnet has a route only with a carrier
	n.Stop()
	for _, harm := range []string{"ip addr del fd00:10:244::1/64 dev cni0", "ip -6 route del fd00:10:244::/64 dev cni0 proto kernel", "ip link del cni0"} {
		n.Sh(harm)
		exits(t, n.Podnetctl("apply"), 0, "apply after "+harm)
		if route := n.Sh("ip -6 route show fd00:10:244:1::/64"); !strings.Contains(route, "src fd00:10:244::1 ") {
			t.Errorf("after %s: %s", harm, route)
		}
	}
	if way := n.Sh("ip -6 route get " + peer); !strings.Contains(way, "src fd00:10:244::1 ") {
		t.Errorf("the node sends from another address than the bridge's: %s", way)
	}
	n.Sh("ping -c 1 -W 10 -q " + peer)
}

// Switching ARP on again has the kernel forget the neighbours that were made meanwhile: one pass
// makes them anew.
func TestOnePassAfterARPOff(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Stop()
	n.Sh("ip link set podnet.1 arp off")
	n.Sh("ip neigh replace 10.244.1.0 lladdr " + contract.VTEPMAC("lab", "node-b") + " dev podnet.1 nud permanent")
	exits(t, n.Podnetctl("apply"), 0, "apply")
	if err := n.CheckPeers(topology); err != nil {
		t.Error(err)
	}
}

// A host that forwards, and on which new links do not, forwards for pods.
func TestForwardsWhateverLinksBeginWith(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	for _, n := range l.Nodes {
		n.SetSysctl("net/ipv4/ip_forward", "1")
		n.SetSysctl("net/ipv4/conf/default/forwarding", "0")
		n.Start()
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Fatal(err)
		}
	}
	reach(t, l.Nodes[0].Pod("web"), l.Nodes[1].Pod("db"))
}

// Pods on both nodes, and new ones, talk after every harm, the loss of the bridge included: the old
// pods get their ports back.
func TestPodsTalkAfterHealing(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	a, b, beside := n.Pod("web"), l.Nodes[1].Pod("db"), n.Pod("beside")
	reach(t, a, b)
	for _, h := range n.Harms(topology, "node-b") {
		h.Do()
		lab.Eventually(t, lab.Patience, h.What, h.Undone)
	}
	lab.Eventually(t, lab.Patience, "in sync", func() error {
		if out := n.Podnetctl("diff"); out.Code != 0 {
			return errors.New(out.Stdout)
		}
		return n.CheckPeers(topology)
	})
	reach(t, a, b)
	reach(t, a, beside)
	reach(t, n.Pod("new"), b)
	if err := a.Del(); err != nil {
		t.Error(err)
	}
}
