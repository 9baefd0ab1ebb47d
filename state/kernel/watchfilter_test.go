package kernel

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// wanting is a set of routes over podnet.1.
func wanting(dsts ...string) *state.Set {
	want := &state.Set{}
	for _, s := range dsts {
		dst := netip.MustParsePrefix(s)
		want.Routes.Add(state.Route{Dst: dst, Via: dst.Addr(), Device: "podnet.1", Metric: state.PeerMetric(dst), Onlink: true}, 0)
	}
	return want
}

func TestCover(t *testing.T) {
	for _, c := range []struct{ routes, v4, v6 string }{
		{"", "invalid Prefix", "invalid Prefix"},
		{"10.244.1.0/24", "10.244.1.0/24", "invalid Prefix"},
		{"10.244.0.0/24 10.244.1.0/24 fd00:1::/64", "10.244.0.0/23", "fd00:1::/64"},
		{"10.244.1.0/24 10.244.0.0/16", "10.244.0.0/16", "invalid Prefix"},
		{"10.244.0.0/16 10.244.1.0/24", "10.244.0.0/16", "invalid Prefix"},
		{"10.1.0.0/16 192.168.0.0/16", "0.0.0.0/0", "invalid Prefix"},
		{"fd00:10:244::/64 fd00:10:244:ff::/64", "invalid Prefix", "fd00:10:244::/56"},
	} {
		got := coverOf(&wanting(strings.Fields(c.routes)...).Routes)
		if got[0].String() != c.v4 || got[1].String() != c.v6 {
			t.Errorf("%q: %v", c.routes, got)
		}
	}
}

// With the filter all that is news still arrives, and of what is not, no route of another table,
// and none of another program's beside what is wanted.
func TestFilterPassesNews(t *testing.T) {
	node := Apart(t)
	for _, c := range []string{
		"ip link set lo up", "ip link add eth0 type veth peer name eth1", "ip link set eth0 up", "ip link set eth1 up",
		"ip addr add 192.0.2.11/24 dev eth0", "ip addr add 2001:db8::11/64 dev eth0 nodad",
		"ip link add podnet.1 type vxlan id 1 dstport 8472 local 192.0.2.11 nolearning", "ip link set podnet.1 up",
	} {
		lab.Sh(t, c)
	}
	if err := node.ReadLinks(); err != nil {
		t.Fatal(err)
	}
	all, sieved := routeSocket(t), routeSocket(t)
	node.Watcher.filter.sample = 0 // none by chance
	node.Watcher.filter.add(sieved)
	care := func(dsts ...string) func() {
		return func() { node.Care(wanting(dsts...), state.Facts{Underlay: "eth0"}) }
	}
	const via4, via6 = " via 192.0.2.1 dev eth0 proto bird", " via 2001:db8::1 dev eth0 proto bird"
	for _, c := range []struct {
		before  func()
		command string
		arrives bool
	}{
		{nil, "ip route add 198.18.0.0/24" + via4, true}, // nothing is cared for yet
		{care("10.244.1.0/24", "10.244.3.0/24", "fd00:10:244:1::/64", "fd00:10:244:3::/64"), "ip route del 198.18.0.0/24" + via4, false},
		{nil, "ip route add 198.18.0.0/24" + via4, false},
		{nil, "ip route add 10.244.4.0/24" + via4, false}, // the next one to the cover
		{nil, "ip route add 10.240.0.0/12" + via4, false}, // an aggregate
		{nil, "ip route add 10.244.1.128/25" + via4, true},
		{nil, "ip route add 10.244.3.0/24" + via4, true},
		{nil, "ip route add 10.244.2.0/24" + via4, true}, // covered, and left to the daemon
		{nil, "ip route add blackhole 10.244.1.4/32 proto bird", true},
		{nil, "ip route add 10.244.1.9/32 proto bird nexthop via 192.0.2.1 dev eth0 nexthop via 192.0.2.2 dev eth0", true},
		{nil, "ip route add default" + via4, true},
		{nil, "ip route del default" + via4, true},
		{nil, "ip route add 10.244.1.0/24" + via4 + " table 100", false},
		{nil, "ip route add 10.244.1.0/24" + via4 + " table 1000", false},
		{nil, "ip route add 10.9.0.0/24 dev podnet.1 proto 72", true},
		{nil, "ip route del 10.9.0.0/24 dev podnet.1 proto 72", true},
		{nil, "ip route del 192.0.2.0/24 dev eth0", true}, // the kernel's
		{nil, "ip -6 route add 2001:db8:1::/64" + via6, false},
		{nil, "ip -6 route add fd00:10:244:4::/64" + via6, false},
		{nil, "ip -6 route add fd00:10:244::/48" + via6, true}, // an aggregate at the cover's own address
		{nil, "ip -6 route add fd00:10:244:3:8000::/65" + via6, true},
		{nil, "ip -6 route add fd00:10:244:1::/64" + via6, true},
		{nil, "ip -6 route add default" + via6, true},
		{nil, "ip -6 route add fd00:10:244:1::/64" + via6 + " table 100", false},
		{nil, "ip -6 route del 2001:db8::/64 dev eth0", true},
		{nil, "ip link set eth1 mtu 1400", true},
		{nil, "ip neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev eth0", true},
		{nil, "ip addr add 192.0.2.12/32 dev lo", true},
		{care("10.244.1.0/24", "10.244.4.0/24"), "ip route del 10.244.4.0/24" + via4, true},
		{nil, "ip -6 route del fd00:10:244:1::/64" + via6, false}, // no longer wanted, as all of its family
		{nil, "ip -6 route del default" + via6, true},
		{care("0.0.0.0/0"), "ip route del 198.18.0.0/24" + via4, true},
		{care(), "ip route del 10.244.1.128/25" + via4, false},
	} {
		if c.before != nil {
			c.before()
		}
		datagrams(t, all)
		datagrams(t, sieved)
		lab.Sh(t, c.command)
		arrived := map[string]bool{}
		for _, b := range datagrams(t, sieved) {
			arrived[string(b)] = true
		}
		if (len(arrived) > 0) != c.arrives {
			t.Errorf("%s: %d announcements", c.command, len(arrived))
		}
		announced := datagrams(t, all)
		if len(announced) == 0 {
			t.Errorf("%s: announces nothing", c.command)
		}
		for _, b := range announced {
			if node.Watcher.interest.Load() != nil && node.Watcher.concerns(b, false) && !arrived[string(b)] {
				t.Errorf("%s: news did not arrive: %x", c.command, b)
			}
		}
	}
}

func routeSocket(t *testing.T) *os.File {
	t.Helper()
	f, err := netlink.Subscribe(unix.NETLINK_ROUTE, []int{
		unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// datagrams reads what a socket holds; one that overran ends with nil.
func datagrams(t *testing.T, f *os.File) (all [][]byte) {
	t.Helper()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, announcement)
	err = conn.Control(func(fd uintptr) {
		for {
			size, err := unix.Read(int(fd), buf)
			if errors.Is(err, unix.ENOBUFS) {
				defer func() { all = append(all, nil) }()
				continue
			}
			if err != nil {
				return
			}
			all = append(all, append([]byte{}, buf[:size]...))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The storm of a routing daemon overruns a socket, but not the watch's, whether that was there
// before the interest or not: hardly anything of it is queued. It is noticed all the same.
func TestFilterHoldsStormOff(t *testing.T) {
	node := Apart(t)
	lab.Sh(t, "ip link add eth0 type veth peer name eth1")
	lab.Sh(t, "ip link set eth0 up")
	bare, early, late := routeSocket(t), routeSocket(t), routeSocket(t)
	before, err := node.Watcher.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	node.Watcher.filter.add(early)
	node.Care(wanting("10.244.1.0/24", "fd00:10:244:1::/64"), state.Facts{Underlay: "eth1"})
	node.Watcher.filter.add(late)
	after, err := node.Watcher.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	lab.Sh(t, "ip route add 10.244.1.128/25 dev eth0") // until this poke is taken, the watch reads nothing more
	for _, f := range []*os.File{bare, early, late} {
		datagrams(t, f)
	}
	var batch strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&batch, "route add 198.18.%d.%d dev eth0\nroute add 2001:db8::%x dev eth0\n", i/250, i%250, i+1)
	}
	storm := filepath.Join(t.TempDir(), "storm")
	if err := os.WriteFile(storm, []byte(batch.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	lab.Sh(t, "ip -batch "+storm)
	if all := datagrams(t, bare); len(all) == 0 || all[len(all)-1] != nil {
		t.Fatalf("%d announcements are no storm", len(all))
	}
	for name, f := range map[string]*os.File{"early": early, "late": late} {
		if n := len(datagrams(t, f)); n == 0 || n > 2000 {
			t.Errorf("%d announcements of 20000 arrived at the %s socket", n, name)
		}
	}
	watches := map[string]<-chan struct{}{"before": before, "after": after}
	for range 2 {
		for name, pokes := range watches {
			select {
			case <-pokes:
			case <-time.After(time.Minute):
				t.Errorf("the watch from %s the interest tells no news", name)
			}
		}
		lab.Sh(t, "ip route replace 10.244.1.128/25 dev eth0 metric 1")
	}
	if n := node.Watcher.Overruns(); n != 0 {
		t.Errorf("%d overruns of the watch", n)
	}
	if at, by := node.Watcher.Flood(); at.IsZero() || by.Name != "ip" && by.Name != "" { // it has ended
		t.Errorf("a flood at %v by %v", at, by)
	}
}

// A flood begins when there are five thousand changes within a second, whoever makes them, and
// once.
func TestFlood(t *testing.T) {
	var f flood
	now := time.Unix(0, 0)
	count := func(times, changes int, pause time.Duration) (begun int) {
		for range times {
			if f.note(now, changes, 7); f.seen.Equal(now) {
				begun++
			}
			now = now.Add(pause)
		}
		return begun
	}
	if n := count(1000, sampled, 54*time.Millisecond); n != 0 {
		t.Errorf("4,800 changes a second are called a flood %d times", n)
	}
	now = now.Add(time.Minute)
	if n := count(20, sampled, time.Millisecond); n != 1 {
		t.Errorf("5,120 changes are called a flood %d times", n)
	}
	if f.note(now, sampled, 7) {
		t.Error("it begins again while it lasts")
	}
}

// A socket that has been closed is forgotten, one that is still there is filtered anew, and only if
// that changes something.
func TestFilterForgetsClosedSockets(t *testing.T) {
	Apart(t)
	var f watchFilter
	a, b := routeSocket(t), routeSocket(t)
	f.add(a)
	f.add(b)
	left := f.sockets[1]
	a.Close()
	f.care(coverOf(&wanting("10.244.1.0/24").Routes))
	if len(f.sockets) != 1 || f.sockets[0] != left {
		t.Errorf("%d sockets", len(f.sockets))
	}
	program := f.program
	f.care(coverOf(&wanting("10.244.1.0/24").Routes))
	if f.program != program {
		t.Error("a new filter for what is wanted as before")
	}
}

// A kernel that refuses a filter is left with none, not with the one before.
func TestRefusedFilter(t *testing.T) {
	Apart(t)
	var f watchFilter
	socket := routeSocket(t)
	f.add(socket)
	for metric, refused := range []bool{false, true} {
		f.care(coverOf(&wanting("10.244.1.0/24").Routes))
		if refused {
			f.program.Len = 0
			f.attach(f.sockets[0])
		}
		datagrams(t, socket)
		lab.Sh(t, "ip route add blackhole 198.18.0.0/24 metric "+strconv.Itoa(metric+1))
		if n := len(datagrams(t, socket)); (n > 0) != refused {
			t.Errorf("refused is %v: %d announcements", refused, n)
		}
	}
}

// Whatever an announcement looks like: what is dropped is no news, and what is surely none is
// dropped. The kernel runs the program, as it alone knows the netlink attributes.
func TestFilterAgreesWithInterest(t *testing.T) {
	wants := []*state.Set{
		wanting(),
		wanting("10.244.1.0/24", "10.244.3.0/24"),
		wanting("fd00:10:244:1::/64", "fd00:10:244:3::/64", "10.244.7.0/24"),
		wanting("fd00:10:244:1:8000::/81", "fd00:10:244:1:8000:1000::/84", "172.16.0.1/32"),
		wanting("10.0.0.0/8", "192.168.0.0/16", "fc00::/7", "2001:db8::/64"),
		wanting("fd00::1:0:0:1/128", "fd00::1:0:0:2/128"),
	}
	for i, want := range wants {
		want.Index()
		in := &interest{want: want, overlap: state.NewOverlaps(want), cover: coverOf(&want.Routes), indices: map[int32]bool{7: true}, devices: map[int]string{7: "podnet.1"}}
		node := &Node{Watcher: newWatcher(1)}
		node.Watcher.filter.sample = 0 // none by chance
		node.Watcher.interest.Store(in)
		node.Watcher.filter.care(coverOf(&want.Routes))
		through := filtered(t, &node.Watcher.filter)
		r := rand.New(rand.NewPCG(1, uint64(i)))
		dropped := 0
		for range 20000 {
			node.Watcher.flood.changes = 0
			b, foreign := announce(r, want, node.Watcher.filter.cover)
			switch passed := through(b); {
			case !passed && node.Watcher.concerns(b, false):
				t.Fatalf("%v: news was dropped: %x", want.Routes.Rows(), b)
			case passed && foreign:
				t.Fatalf("%v: passed: %x", want.Routes.Rows(), b)
			case !passed:
				dropped++
			}
		}
		if dropped < 2000 || dropped > 18000 {
			t.Errorf("%d were dropped, too one-sided a test", dropped)
		}
	}
}

// filtered says whether a datagram passes a filter.
func filtered(t *testing.T, f *watchFilter) func([]byte) bool {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(pair[1]) })
	socket := os.NewFile(uintptr(pair[0]), "filtered")
	t.Cleanup(func() { socket.Close() })
	if err := unix.SetsockoptSockFprog(pair[0], unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &f.program); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, announcement)
	return func(b []byte) bool {
		if err := unix.Send(pair[1], b, 0); err != nil {
			t.Fatal(err)
		}
		size, err := unix.Read(pair[0], buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) || err == nil && size != len(b) {
			t.Fatalf("read %d bytes of %d: %v", size, len(b), err)
		}
		return err == nil
	}
}

// announce makes up a datagram, a route's most of the time. foreign: it is a whole route that
// cannot be news.
func announce(r *rand.Rand, want *state.Set, cover cover) (b []byte, foreign bool) {
	b, foreign = makeRoute(r, want, cover)
	switch r.IntN(20) {
	case 0: // torn
		return b[:r.IntN(len(b))], false
	case 1: // of more than it holds, or less
		native.PutUint32(b, uint32(len(b))+1<<(8*r.IntN(4)))
		return b, false
	case 2: // several in one
		more, _ := makeRoute(r, want, cover)
		return append(b, more...), false
	case 3: // of something else
		native.PutUint16(b[4:], uint16(r.IntN(100)))
		return b, false
	}
	return b, foreign
}

func makeRoute(r *rand.Rand, want *state.Set, cover cover) (b []byte, foreign bool) {
	dst := destination(r, want)
	six := 0
	if dst.Addr().Is6() {
		six = 1
	}
	table := one[byte](r, state.MainTable, state.MainTable, state.MainTable, unix.RT_TABLE_LOCAL, unix.RT_TABLE_COMPAT, 0, 100)
	protocol := one[byte](r, state.RouteProtocol, unix.RTPROT_KERNEL, unix.RTPROT_BIRD, unix.RTPROT_BIRD, unix.RTPROT_STATIC, 0)
	fam := uint8(netlink.FamilyOf(dst.Addr()))
	odd := r.IntN(30) == 0
	if odd {
		fam = byte(r.IntN(40))
	}
	var batch netlink.Batch
	m := batch.Message(one[uint16](r, unix.RTM_NEWROUTE, unix.RTM_DELROUTE), 0)
	m.Raw(fam, byte(dst.Bits()), 0, 0, table, protocol, 0, unix.RTN_UNICAST)
	m.Raw(0, 0, 0, 0)
	m.Uint32(unix.RTA_TABLE, uint32(table))
	if r.IntN(2) == 0 {
		m.Bytes(unix.RTA_METRICS, make([]byte, r.IntN(30)))
	}
	bare := r.IntN(20) == 0
	if !bare {
		m.IP(unix.RTA_DST, dst.Addr())
	}
	m.Uint32(unix.RTA_OIF, one[uint32](r, 7, 7, 8))
	m.Uint32(unix.RTA_PRIORITY, state.PeerMetric(dst))
	outside := !cover[six].IsValid() || !cover[six].Contains(dst.Addr())
	others := protocol != state.RouteProtocol && protocol != unix.RTPROT_KERNEL && dst.Bits() != 0
	return batch.Bytes(), table != state.MainTable || !odd && !bare && outside && others
}

// destination is a wanted one, or near one by a bit and by some length, or anywhere.
func destination(r *rand.Rand, want *state.Set) netip.Prefix {
	near := one(r, netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("2001:db8::/32"))
	if rows := want.Routes.Rows(); len(rows) > 0 && r.IntN(5) > 0 {
		near = one(r, rows...).Dst
	}
	a := near.Addr().AsSlice()
	bits := near.Bits()
	if r.IntN(3) > 0 {
		flip := r.IntN(8 * len(a))
		a[flip/8] ^= 0x80 >> (flip % 8)
		bits = max(bits, flip+1)
	}
	switch r.IntN(3) {
	case 0:
		bits = r.IntN(8*len(a) + 1)
	case 1:
		bits = 8 * len(a)
	}
	addr, _ := netip.AddrFromSlice(a)
	return netip.PrefixFrom(addr, bits).Masked()
}

func one[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
