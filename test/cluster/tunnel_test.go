package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// mailbox is a UDP socket in a namespace.
type mailbox struct {
	net.PacketConn
	addr netip.AddrPort
}

func newMailbox(t *testing.T, ns *lab.Namespace, addr string) *mailbox {
	t.Helper()
	m := &mailbox{}
	err := ns.Do(func() (err error) {
		m.PacketConn, err = net.ListenPacket("udp", addr)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() }) // nothing is written any more
	m.addr = m.LocalAddr().(*net.UDPAddr).AddrPort()
	return m
}

// until reads what has come, up to a text that another mailbox sends now: what was sent before it,
// and has not come, was dropped.
func (m *mailbox) until(t *testing.T, from *mailbox, text string) (came []string) {
	t.Helper()
	lab.Eventually(t, lab.Patience, text, func() error {
		if _, err := from.WriteTo([]byte(text), net.UDPAddrFromAddrPort(m.addr)); err != nil {
			return err
		}
		buf := make([]byte, 64)
		for {
			_ = m.SetReadDeadline(time.Now().Add(time.Second)) // without one the text may be waited for in vain
			n, _, err := m.ReadFrom(buf)
			if err != nil {
				return err
			}
			if string(buf[:n]) == text {
				return nil
			}
			came = append(came, string(buf[:n]))
		}
	})
	return came
}

// TestOnlyPeers has everybody who cannot send from a node's address put a packet among the pods of
// node-a: a pod of another node, masqueraded as that node, to each of node-a's addresses; a pod of
// node-a; a machine outside. All of them get in while the tunnel believes anybody, and none once it
// takes packets of its peers alone. What has nothing to do with the tunnel goes on.
func TestOnlyPeers(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	a, b := l.Nodes[0], l.Nodes[1]
	a.Sh("ip addr add 192.0.2.200/24 dev eth0")
	victim, neighbour, stranger := a.Pod("victim"), a.Pod("neighbour"), b.Pod("stranger")
	inbox := newMailbox(t, victim.Namespace, victim.Addr4()+":0")
	peer := newMailbox(t, stranger.Namespace, stranger.Addr4()+":0")
	attacks := []struct {
		name string
		from *lab.Namespace
		to   string
	}{
		{"a pod of another node", stranger.Namespace, a.IP4},
		{"a pod of another node, to a second address", stranger.Namespace, "192.0.2.200"},
		{"a pod of this node", neighbour.Namespace, a.IP4},
		{"a pod of this node, to the bridge", neighbour.Namespace, "10.244.0.1"},
		{"a machine outside", l.Outside(), a.IP4},
		{"a machine outside, to a second address", l.Outside(), "192.0.2.200"},
	}
	try := func() map[string]bool {
		t.Helper()
		for i, attack := range attacks {
			forgery := lab.Forgery{Node: "node-a", VNI: 1, From: netip.MustParseAddrPort("203.0.113.7:53"), To: inbox.addr, Text: fmt.Sprint(i)}
			if err := attack.from.Forge(netip.AddrPortFrom(netip.MustParseAddr(attack.to), 8472), forgery); err != nil {
				t.Fatal(err)
			}
		}
		got := map[string]bool{}
		for _, text := range inbox.until(t, peer, "from a peer") {
			var i int
			if _, err := fmt.Sscan(text, &i); err == nil {
				got[attacks[i].name] = true
			}
		}
		return got
	}
	if got := try(); len(got) > 0 {
		t.Errorf("with onlyPeers there came in: %v", got)
	}
	if out := a.Podnetctl("doctor"); strings.Contains(out.Stdout, "input-open") {
		t.Errorf("doctor finds the tunnel open:\n%s", out.Stdout)
	}

	outside := newMailbox(t, l.Outside(), lab.Gateway4+":8472")
	outside.until(t, peer, "a tunnel of the pod's own to somewhere else")
	podPort := newMailbox(t, victim.Namespace, victim.Addr4()+":8472")
	podPort.until(t, peer, "to a pod's port of the same number")

	open := topology
	open.Extra = []string{"network: {vxlan: {onlyPeers: false}}"}
	for _, n := range l.Nodes {
		n.WriteFile(nextPath, open.String())
		exits(t, n.Podnetctl("apply", n.Path(nextPath)), 0, "apply of onlyPeers: false")
	}
	if got := try(); len(got) != len(attacks) {
		t.Errorf("without onlyPeers there came in only %v", got)
	}
	if table := nftTable(a); strings.Contains(table, "tunnel-peers") {
		t.Errorf("without onlyPeers there is\n%s", table)
	}
	for _, n := range l.Nodes { // a pod's packets are kept back at its own node
		n.WriteFile(nextPath, topology.String())
		exits(t, n.Podnetctl("apply", n.Path(nextPath)), 0, "apply of onlyPeers")
	}
	if got := try(); len(got) > 0 {
		t.Errorf("with onlyPeers again there came in: %v", got)
	}
	for _, damage := range []string{
		"nft delete element inet podnet tunnel-peers { " + b.IP4 + " }",
		"nft flush set inet podnet tunnel-peers",
		"nft delete table inet podnet",
		"nft delete table inet podnet; add table inet podnet; add set inet podnet tunnel-peers { type inet_service; }",
		"nft add element inet podnet tunnel-peers { 192.0.2.1 }",
	} {
		words := strings.SplitN(damage, " ", 2)
		a.Must(words[0], words[1])
		lab.Eventually(t, lab.Patience, "healed after "+damage, func() error {
			table := nftTable(a)
			if want := "elements = { " + b.IP4; !strings.Contains(table, want) || !strings.Contains(table, "@tunnel-peers ip daddr "+a.IP4+" accept") ||
				strings.Contains(table, "192.0.2.1 ") || strings.Contains(table, "192.0.2.1,") {
				return fmt.Errorf("the table is\n%s", table)
			}
			return nil
		})
		if got := try(); len(got) > 0 {
			t.Errorf("after %s there came in: %v", damage, got)
		}
	}
}

// TestAddressOfAPeerChanges changes a node's ip in the two files of the documentation, node by node,
// under pods that ping each other: no packet is lost. The address that has left goes by itself.
func TestAddressOfAPeerChanges(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c")
	b := l.Nodes[1]
	p, q, r := l.Nodes[0].Pod("p"), b.Pod("q"), l.Nodes[2].Pod("r")
	const next = "192.0.2.222"
	b.Sh("ip addr add " + next + "/24 dev eth0")
	floods := []*lab.Flood{p.Flood(q.Addr4()), q.Flood(r.Addr4()), q.Flood(p.Addr6()), r.Flood(q.Addr6()), p.Flood(r.Addr4())}
	apply := func(file string, order ...int) {
		t.Helper()
		for _, i := range order {
			n := l.Nodes[i]
			n.WriteFile(nextPath, file)
			exits(t, n.Podnetctl("apply", n.Path(nextPath)), 0, "apply on "+n.Host)
			n.AwaitInForce()
		}
	}
	old := fmt.Sprintf("  ip: %q\n", b.IP4)
	both := strings.Replace(topology.String(), old, fmt.Sprintf("  ip: %q\n  localIP: %q\n", next, b.IP4), 1)
	apply(both, 1, 0, 2)
	last := strings.Replace(topology.String(), old, fmt.Sprintf("  ip: %q\n", next), 1)
	apply(last, 0, 1, 2)
	for i, f := range floods {
		if answered, lost := f.Stop(); len(lost) > 0 {
			t.Errorf("flood %d: %d answered, lost %v", i, answered, lost)
		}
	}
	if table := nftTable(l.Nodes[0]); !strings.Contains(table, b.IP4+" timeout 10m") || !strings.Contains(table, next) {
		t.Errorf("the table of node-a is\n%s", table)
	}
}
