package lab

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func TestNodesReachEachOther(t *testing.T) {
	begin := time.Now()
	l := New(t)
	a, b, c := l.Node("node-a"), l.Node("node-b"), l.Node("node-c")
	t.Logf("three nodes took %v", time.Since(begin))
	for _, addr := range []string{b.IP4, b.IP6, c.IP4, c.IP6, Gateway4, Gateway6} {
		if err := a.Ping(addr); err != nil {
			t.Error(err)
		}
	}
	l.Renumber(b, "192.0.2.99", "2001:db8::99")
	for _, addr := range []string{b.IP4, b.IP6} {
		if err := a.Ping(addr); err != nil {
			t.Error(err)
		}
	}
}

func TestStateSeesChanges(t *testing.T) {
	n := New(t).Node("node-a")
	before := n.State()
	if again := n.State(); again != before {
		t.Fatalf("two looks differ:\n%s\n%s", before, again)
	}
	for _, change := range [][2]string{
		{"ip link add x0 type veth peer name x1", "ip link del x0"},
		{"ip addr add 198.51.100.1/32 dev eth0", "ip addr del 198.51.100.1/32 dev eth0"},
		{"ip route add 198.51.100.0/24 via 192.0.2.1", "ip route del 198.51.100.0/24"},
		{"ip -6 route add 2001:db8:1::/64 via 2001:db8::1 table 77", "ip -6 route del 2001:db8:1::/64 table 77"},
		{"ip neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev eth0", "ip neigh del 192.0.2.77 dev eth0"},
		{"iptables -A FORWARD -s 198.51.100.1 -j DROP", "iptables -D FORWARD -s 198.51.100.1 -j DROP"},
		{"ip6tables -t nat -N X", "ip6tables -t nat -X X"},
	} {
		n.Sh(change[0])
		if n.State() == before {
			t.Errorf("%s: not seen", change[0])
		}
		n.Sh(change[1])
		if err := SameState(before, n.State()); err != nil {
			t.Errorf("%s: leaves a trace:\n%v", change[1], err)
		}
	}
	n.SetSysctl("net/ipv6/conf/eth0/accept_ra", "2")
	if n.State() == before {
		t.Error("sysctl: not seen")
	}
}

func TestTwoLabsOfOneProcess(t *testing.T) {
	for range 2 {
		t.Run("lab", func(t *testing.T) { New(t).Node("node-a") })
	}
	left, err := os.ReadDir(netnsDir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", netnsDir, left, err)
	}
}

// A bridge port comes and goes with the other end's carrier, some time after it: that is no change of what somebody
// configured.
func TestStateWithoutCarrier(t *testing.T) {
	l := New(t)
	n := l.Node("node-a")
	before := n.State()
	n.Must("ip", "link", "set", "other2", "down")
	Eventually(t, Patience, "the port disabled", func() error {
		if out := n.Must("bridge", "link", "show", "dev", "other1"); !strings.Contains(out, "state disabled") {
			return errors.New(out)
		}
		return nil
	})
	err := SameState(before, n.State())
	if err == nil || strings.Contains(err.Error(), "other1") || !strings.Contains(err.Error(), "other2") {
		t.Errorf("other2 was set down: %v", err)
	}
	n.Must("ip", "link", "set", "other2", "up")
}
