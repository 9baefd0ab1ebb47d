package kernel

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// Apart gives the test a network namespace of its own, and a node in it.
func Apart(t *testing.T) *Node {
	t.Helper()
	lab.Need(t)
	lab.Apart(t)
	node, err := Open(state.DefaultPaths(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	return node
}

// What is news to the daemon: whatever is wrong with its own objects or in their way, and nothing
// else.
func TestWhatIsNews(t *testing.T) {
	node := Apart(t)
	for _, c := range []string{
		"ip link set lo up", "ip link add eth0 type veth peer name eth1", "ip link set eth0 up", "ip link set eth1 up",
		"ip addr add 192.0.2.11/24 dev eth0",
		"ip link add podnet.1 type vxlan id 1 dstport 8472 local 192.0.2.11 nolearning", "ip link set podnet.1 up",
	} {
		lab.Sh(t, c)
	}
	mac := state.MAC{2, 0, 0, 0, 0, 9}
	peer := netip.MustParsePrefix("10.244.1.0/24")
	want := &state.Set{}
	want.Links.Add(state.Link{Device: "podnet.1", Type: "vxlan"}, state.OwnNode)
	want.Neighs.Add(state.Neigh{Device: "podnet.1", IP: peer.Addr(), MAC: mac, Permanent: true}, 0)
	want.FDB.Add(state.FDB{Device: "podnet.1", MAC: mac, Dst: netip.MustParseAddr("192.0.2.12"), Permanent: true}, 0)
	want.Routes.Add(state.Route{Dst: peer, Via: peer.Addr(), Device: "podnet.1", Metric: state.PeerMetric(peer), Onlink: true}, 0)
	if err := node.ReadLinks(); err != nil {
		t.Fatal(err)
	}
	node.Care(want, state.Facts{Underlay: "eth0"})
	news, err := netlink.Subscribe(unix.NETLINK_ROUTE, []int{unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV4_IFADDR})
	if err != nil {
		t.Fatal(err)
	}
	defer news.Close()
	route := "10.244.1.0/24 via 10.244.1.0 dev podnet.1 onlink proto 72 metric " + strconv.Itoa(int(state.PeerMetric(peer)))
	for _, c := range []struct {
		command string
		news    bool
	}{
		{"ip neigh add 10.244.1.0 lladdr 02:00:00:00:00:09 dev podnet.1 nud permanent", false}, // as it should be
		{"bridge fdb add 02:00:00:00:00:09 dev podnet.1 dst 192.0.2.12 self permanent", false},
		{"ip route add " + route, false},
		{"ip neigh replace 10.244.1.0 lladdr 02:00:00:00:00:08 dev podnet.1 nud permanent", true},
		{"bridge fdb replace 02:00:00:00:00:09 dev podnet.1 dst 192.0.2.13 self permanent", true},
		{"bridge fdb add 02:00:00:00:00:07 dev podnet.1 dst 192.0.2.13 self permanent", true}, // a stranger
		{"bridge fdb del 02:00:00:00:00:07 dev podnet.1 dst 192.0.2.13 self", false},          // nobody wants it
		{"ip route del " + route, true},
		{"ip neigh del 10.244.1.0 dev podnet.1", true},
		{"bridge fdb del 02:00:00:00:00:09 dev podnet.1 dst 192.0.2.13 self", true},
		{"ip route add 198.18.0.0/24 via 192.0.2.1 dev eth0 proto bird", false}, // other programs' own
		{"ip route del 198.18.0.0/24 via 192.0.2.1 dev eth0 proto bird", false},
		{"ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev eth1", false},
		{"ip route add 10.244.1.128/25 via 192.0.2.1 dev eth0 proto bird", true}, // takes a part of the peer's pods
		{"ip route add 10.244.1.0/24 via 192.0.2.1 dev eth0 proto bird metric 1", true},
		{"ip route add 10.244.0.0/16 via 192.0.2.1 dev eth0 proto bird", false}, // an aggregate does not
		{"ip route add default via 192.0.2.1 dev eth0", true},                   // the underlay may be another
		{"ip route add 10.9.0.0/24 dev podnet.1 proto 72", true},
		{"ip link set podnet.1 down", true},
	} {
		drained(t, news, node)
		lab.Sh(t, c.command)
		if got := drained(t, news, node); got != c.news {
			t.Errorf("%s: news is %v", c.command, got)
		}
	}
}

// drained reads what has been announced so far and says whether any of it was news.
func drained(t *testing.T, f *os.File, n *Node) (news bool) {
	t.Helper()
	for _, b := range datagrams(t, f) {
		news = n.Watcher.concerns(b, false) || news
	}
	return news
}

// Of a storm of what concerns nobody an eighth is read; a little at a time, all of it.
func TestListenerRests(t *testing.T) {
	const ms = time.Millisecond
	debt, pause := rest(0, 0, 5*ms)
	if pause != 0 || debt != 40*ms {
		t.Errorf("5 ms of reading: debt %s, pause %s", debt, pause)
	}
	if debt, pause = rest(debt, 10*ms, 5*ms); debt != 0 || pause != 70*ms {
		t.Errorf("and 5 ms more soon: debt %s, pause %s", debt, pause)
	}
	if debt, pause = rest(40*ms, time.Second, 1*ms); debt != 8*ms || pause != 0 {
		t.Errorf("and much later: debt %s, pause %s", debt, pause)
	}
}

// A socket that overran keeps nothing more until it is empty, and says so only once, at first: what
// is lost after that is looked for when it is empty.
func TestLostAfterOverrun(t *testing.T) {
	node := Apart(t)
	lab.Sh(t, "ip link add eth0 type veth peer name eth1")
	lab.Sh(t, "ip link set eth0 up")
	node.Care(&state.Set{}, state.Facts{Underlay: "eth1"})
	news, err := netlink.Subscribe(unix.NETLINK_ROUTE, []int{unix.RTNLGRP_IPV4_ROUTE})
	if err != nil {
		t.Fatal(err)
	}
	defer news.Close()
	var batch strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&batch, "route add 198.18.%d.%d dev eth0\n", i/250, i%250)
	}
	storm := filepath.Join(t.TempDir(), "storm")
	if err := os.WriteFile(storm, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Sh(t, "ip -batch "+storm)
	l := &listener{watcher: node.Watcher, buf: make([]byte, announcement)}
	var looks []bool
	for taken := true; taken; {
		var concerned bool
		if concerned, taken, err = l.drain(int(news.Fd())); err != nil {
			t.Fatal(err)
		}
		looks = append(looks, concerned)
	}
	n := len(looks)
	if n < 3 || !looks[0] || slices.Contains(looks[1:n-2], true) || !looks[n-2] || looks[n-1] {
		t.Errorf("a look at the overrun, one when the socket is empty, and no other: %v", looks)
	}
}
