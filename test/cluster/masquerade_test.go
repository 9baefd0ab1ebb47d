package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// flow is a UDP socket in a pod that goes on sending from one port, and one outside of the cluster
// that it sends to.
type flow struct {
	from, to net.PacketConn
	dst      net.Addr
}

func newFlow(t *testing.T, pod, outside *lab.Namespace, addr string) *flow {
	t.Helper()
	listen := func(ns *lab.Namespace, at string) (c net.PacketConn) {
		err := ns.Do(func() (err error) {
			c, err = net.ListenPacket("udp", at)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() }) // nothing is written any more
		return c
	}
	f := &flow{from: listen(pod, ":0"), to: listen(outside, net.JoinHostPort(addr, "0"))}
	f.dst = f.to.LocalAddr()
	return f
}

// source is the address that a packet of the flow arrives with.
func (f *flow) source() (net.Addr, error) {
	if _, err := f.from.WriteTo([]byte("x"), f.dst); err != nil {
		return nil, err
	}
	_ = f.to.SetReadDeadline(time.Now().Add(time.Second)) // without one the packet may be waited for in vain
	_, from, err := f.to.ReadFrom(make([]byte, 8))
	return from, err
}

// arrives waits until packets arrive with an address.
func (f *flow) arrives(t *testing.T, want string) {
	t.Helper()
	lab.Eventually(t, lab.Patience, "from "+want, func() error {
		from, err := f.source()
		if err != nil {
			return err
		}
		if ip := from.(*net.UDPAddr).AddrPort().Addr().Unmap(); ip != netip.MustParseAddr(want) {
			return fmt.Errorf("a packet from %s", ip)
		}
		return nil
	})
}

// TestMasqueradedFromNowOn has pods begin to send while the masquerade rules are gone. Once they
// are back the packets of such a flow are masqueraded too, although it sends from the same port
// without a pause. A flow that has been answered, as the network outside knows the way to the pod,
// works and keeps its source.
func TestMasqueradedFromNowOn(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	p := n.Pod("web")
	for _, program := range []string{"iptables", "ip6tables"} { // the host tracks connections, as most do
		n.Sh(program + " -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT")
	}
	cut := func() {
		n.Sh("iptables -t nat -D POSTROUTING -j PODNET-MASQUERADE")
		n.Sh("ip6tables -t nat -D POSTROUTING -j PODNET-MASQUERADE")
	}
	n.Stop()
	cut()
	four, six := newFlow(t, p.Namespace, l.Outside(), lab.Gateway4), newFlow(t, p.Namespace, l.Outside(), lab.Gateway6)
	answered := newFlow(t, p.Namespace, l.Outside(), lab.Gateway4)
	if _, err := l.Outside().Sh("ip route add " + p.Addr4() + " via " + n.IP4); err != nil {
		t.Fatal(err)
	}
	four.arrives(t, p.Addr4())
	six.arrives(t, p.Addr6())
	answered.arrives(t, p.Addr4())
	back, err := answered.source()
	if err == nil {
		_, err = answered.to.WriteTo([]byte("y"), back)
	}
	_ = answered.from.SetReadDeadline(time.Now().Add(lab.Patience)) // without one the answer may be waited for in vain
	if err == nil {
		_, _, err = answered.from.ReadFrom(make([]byte, 8))
	}
	if err != nil {
		t.Fatalf("no answer to the flow that the network routes back: %v", err)
	}

	n.Start()
	n.AwaitInForce()
	four.arrives(t, n.IP4)
	six.arrives(t, n.IP6)
	answered.arrives(t, p.Addr4())

	cut() // under a daemon
	lab.Eventually(t, lab.Patience, "healed", func() error {
		for _, program := range []string{"iptables", "ip6tables"} {
			if out := n.Execute(program, "-t", "nat", "-C", "POSTROUTING", "-j", "PODNET-MASQUERADE"); out.Code != 0 {
				return fmt.Errorf("%s: %s", program, out.Stderr)
			}
		}
		return nil
	})
	four.arrives(t, n.IP4)
	newFlow(t, p.Namespace, l.Outside(), lab.Gateway4).arrives(t, n.IP4)
}
