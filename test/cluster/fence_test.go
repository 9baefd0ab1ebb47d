package cluster

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// TestFences has a pod with CAP_NET_RAW send to the host's loopback addresses, and with sources that
// are not its own, in both families. All of it gets through without the fence, and none with it.
// Connections of the host's own loopback addresses and pods' ordinary packets are not concerned.
func TestFences(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	attacker, other := n.Pod("attacker"), l.Nodes[1].Pod("other")
	n.SetSysctl("net/ipv4/conf/cni0/route_localnet", "1") // as a published port leaves it
	outside := l.Outside()
	for _, route := range []string{"ip route add 10.244.0.0/24 via " + n.IP4, "ip -6 route add fd00:10:244::/64 via " + n.IP6} {
		if _, err := outside.Sh(route); err != nil {
			t.Fatal(err)
		}
	}
	mac := macOf(t, n.Namespace, "cni0")
	inbox := func(ns *lab.Namespace, addr string) *mailbox { return newMailbox(t, ns, addr) }
	address := netip.MustParseAddrPort
	attacks := []struct {
		name string
		from netip.AddrPort
		to   *mailbox
		good *mailbox // who may send there
	}{
		{"to the host's 127.0.0.1", address(attacker.Addr4() + ":53"), inbox(n.Namespace, "127.0.0.1:0"), inbox(n.Namespace, "127.0.0.1:0")},
		{"a foreign source, to another node's pod", address("203.0.113.7:53"), inbox(other.Namespace, other.Addr4()+":0"),
			inbox(attacker.Namespace, attacker.Addr4()+":0")},
		{"a pod's address of another node, to the outside", address("10.244.1.77:53"), inbox(outside, lab.Gateway4+":0"),
			inbox(attacker.Namespace, attacker.Addr4()+":0")},
		{"a foreign source of IPv6, to another node's pod", address("[2001:db8:bad::7]:53"), inbox(other.Namespace, "["+other.Addr6()+"]:0"),
			inbox(attacker.Namespace, "["+attacker.Addr6()+"]:0")},
		{"a node's own address, to the node", netip.AddrPortFrom(netip.MustParseAddr(l.Nodes[1].IP4), 53), inbox(n.Namespace, n.IP4+":0"),
			inbox(attacker.Namespace, attacker.Addr4()+":0")},
	}
	try := func() (in []string) {
		t.Helper()
		for _, a := range attacks {
			if err := attacker.Inject("eth0", mac, lab.Forgery{From: a.from, To: a.to.addr, Text: "forged"}); err != nil {
				t.Fatal(err)
			}
			if slices.Contains(a.to.until(t, a.good, "honest"), "forged") {
				in = append(in, a.name)
			}
		}
		return in
	}
	if in := try(); len(in) > 0 {
		t.Errorf("there got in: %q", in)
	}
	n.Stop()
	n.Sh("nft delete chain inet podnet fence-pods")
	if in := try(); len(in) < len(attacks)-1 { // the kernel itself refuses one or the other
		t.Errorf("without the fence there got in only %q", in)
	}
	n.Start()
	n.AwaitInForce()
	exits(t, n.Podnetctl("status", "--wait", "10s"), 0, "status")
	if in := try(); len(in) > 0 {
		t.Errorf("with the fence again there got in: %q", in)
	}
}

// TestNoPodIsARouterOfOthers has a pod that accepts router advertisements, as one that was made
// before: it believes no other pod, whichever plugin made that.
func TestNoPodIsARouterOfOthers(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	attacker, victim := n.Pod("attacker"), n.Pod("victim")
	if err := victim.Do(func() error { return os.WriteFile("/proc/sys/net/ipv6/conf/eth0/accept_ra", []byte("2"), 0o644) }); err != nil {
		t.Fatal(err)
	}
	stranger := lab.NewNamespace(t, "stranger") // on the bridge by another plugin
	n.Sh("ip link add other9 type veth peer name eth0 netns " + stranger.Name)
	n.Sh("ip link set other9 master cni0 up")
	if _, err := stranger.Sh("ip link set eth0 up"); err != nil {
		t.Fatal(err)
	}
	routed := func(name string, from func() error) string {
		t.Helper()
		lab.Eventually(t, lab.Patience, "the advertisement of the "+name, from)
		if err := victim.Ping(attacker.Addr6()); err != nil { // the port has been passed since
			t.Fatal(err)
		}
		out, err := victim.Exec("ip", "-6", "route", "show", "default", "proto", "ra")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, from := range map[string]*lab.Namespace{"pod": attacker.Namespace, "stranger": stranger} {
		if route := routed(name, func() error { return from.Advertise("eth0") }); route != "" {
			t.Errorf("the %s is the victim's router: %s", name, route)
		}
	}
	n.Stop()
	n.Sh("nft delete table bridge podnet")
	lab.Eventually(t, lab.Patience, "without the fence the attack works", func() error {
		if route := routed("pod", func() error { return attacker.Advertise("eth0") }); route == "" {
			return fmt.Errorf("no route")
		}
		return nil
	})
}
