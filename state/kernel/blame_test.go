package kernel

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// What turns a packet away is the longest prefix's first route; and a table is read once, however
// many packets it turns away.
func TestBlame(t *testing.T) {
	node := Apart(t)
	for _, c := range []string{
		"ip link set lo up", "ip route add unreachable 10.244.0.0/16", "ip route add blackhole 10.244.1.0/24 metric 7",
		"ip route add prohibit 10.244.1.0/24 metric 3", "ip -6 route add unreachable fd00:10:244::/48",
	} {
		lab.Sh(t, c)
	}
	var packets []Packet
	for i := range 500 {
		packets = append(packets, Packet{Dst: netip.AddrFrom4([4]byte{10, 244, byte(i % 3), 9})})
	}
	packets = append(packets, Packet{Dst: netip.MustParseAddr("fd00:10:244::9")}, Packet{Dst: netip.MustParseAddr("198.51.100.1")})
	asked := func(packets []Packet) (routings []Routing, dumps uint32) {
		t.Helper()
		before := node.Conn.Sent()
		routings, err := node.Routings(packets)
		if err != nil {
			t.Fatal(err)
		}
		return routings, node.Conn.Sent() - before - 2*uint32(len(packets))
	}
	_, few := asked(packets[498:])
	routings, many := asked(packets)
	if many != few {
		t.Errorf("%d packets take %d dumps, %d take %d", len(packets), many, len(packets)-498, few)
	}
	for i, want := range map[int]string{0: "10.244.0.0/16 0", 1: "10.244.1.0/24 3", 2: "10.244.0.0/16 0", 500: "fd00:10:244::/48 1024", 501: "none 0"} {
		r := routings[i]
		if got := r.String() + " " + strconv.Itoa(int(r.route.Metric)); r.Err == nil || got != want {
			t.Errorf("%s: %s, %v; want %s", packets[i].Dst, got, r.Err, want)
		}
	}
}
