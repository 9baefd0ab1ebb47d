package lab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
)

// The switch doubles as the world outside of the cluster: it has an address of either family, knows
// no route to the pods, and is the nodes' default gateway.
const (
	Gateway4 = "192.0.2.1"
	Gateway6 = "2001:db8::1"
)

// Lab is a set of nodes on one switch.
type Lab struct {
	TB
	Nodes []*Node // in the order they were made

	// Nodes made from now on get no foreign rules, or no foreign networks beside podnet's: the test
	// makes all there are.
	OwnRules, OwnConflists bool

	prefix string // before the name of each namespace, so that labs of one process don't collide
	outer  *Namespace
	dir    string
}

// count numbers the labs of this process.
var count atomic.Int32

// New makes a lab without nodes, which ends with the test: daemons killed, namespaces closed. It
// needs Isolate, without which it would work on the host's own network.
func New(t TB) *Lab {
	t.Helper()
	Need(t)
	id := count.Add(1)
	l := &Lab{TB: t, prefix: fmt.Sprintf("lab%d-", id), dir: filepath.Join(runDir, fmt.Sprintf("lab%d", id))}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(l.dir) }) // a tmpfs; what is left goes with it
	l.outer = l.namespace("switch")
	l.must(l.outer.Batch("ip",
		"link add switch type bridge mcast_snooping 0",
		"link set switch addrgenmode none",
		"addr add "+Gateway4+"/24 dev switch",
		"addr add "+Gateway6+"/64 dev switch nodad",
		"link set switch up",
	))
	return l
}

// Outside is the switch's namespace: a host that knows the nodes and not the pods.
func (l *Lab) Outside() *Namespace { return l.outer }

// Node adds a host to the switch. It gets the next address of both underlays: 192.0.2.11 and
// 2001:db8::11 the first, and so on. Nothing runs on it, and it has talked to nobody yet. Others'
// objects are on it, and have to stay as they are.
func (l *Lab) Node(name string) *Node {
	l.Helper()
	number := 11 + len(l.Nodes)
	n := &Node{
		Namespace: l.namespace(name),
		Host:      name,
		IP4:       fmt.Sprintf("192.0.2.%d", number),
		IP6:       fmt.Sprintf("2001:db8::%d", number),
		Root:      filepath.Join(l.dir, name),
		lab:       l,
	}
	if err := os.MkdirAll(n.Root, 0o755); err != nil {
		l.Fatalf("%v", err)
	}
	port := fmt.Sprintf("port%d", number)
	l.must(l.outer.Batch("ip",
		fmt.Sprintf("link add %s type veth peer name eth0 address 02:00:c0:00:02:%02x netns %s", port, number, n.Name),
		"link set "+port+" addrgenmode none",
		"link set "+port+" master switch up",
	))
	// Addresses without duplicate address detection, and a link-local one of our own choice: a lab
	// is ready at once, and the same every time.
	l.must(n.Batch("ip",
		"link set lo up",
		"link set eth0 addrgenmode none",
		"addr add "+n.IP4+"/24 brd + dev eth0",
		"addr add "+n.IP6+"/64 dev eth0 nodad",
		fmt.Sprintf("addr add fe80::%d/64 dev eth0 nodad", number),
		"link set eth0 up",
		"route add default via "+Gateway4,
		"route add default via "+Gateway6,
	))
	// A new namespace takes these from the host's, so that they would differ from machine to
	// machine.
	for _, path := range []string{"ip_forward", "conf/all/rp_filter", "conf/default/rp_filter", "conf/eth0/rp_filter"} {
		n.SetSysctl("net/ipv4/"+path, "0")
	}
	n.guardForeign()
	l.Nodes = append(l.Nodes, n)
	l.Cleanup(func() { n.kill() })
	return n
}

// namespace makes one that is closed with the lab.
func (l *Lab) namespace(name string) *Namespace {
	l.Helper()
	ns, err := newNamespace(l.prefix + name)
	l.must(err)
	l.Cleanup(func() {
		if err := ns.Close(); err != nil {
			l.Logf("%v", err)
		}
	})
	return ns
}

// Renumber moves a node to other underlay addresses, as an administrator would: new ones first,
// then the old ones go.
func (l *Lab) Renumber(n *Node, ip4, ip6 string) {
	l.Helper()
	old4, old6 := n.IP4, n.IP6
	n.SetSysctl("net/ipv4/conf/eth0/promote_secondaries", "1") // or the new address goes with the old one
	l.must(n.Batch("ip",
		"addr add "+netip.MustParseAddr(ip4).String()+"/24 brd + dev eth0",
		"addr add "+netip.MustParseAddr(ip6).String()+"/64 dev eth0 nodad",
		"addr del "+old4+"/24 dev eth0",
		"addr del "+old6+"/64 dev eth0",
		"route replace default via "+Gateway4,
		"route replace default via "+Gateway6,
	))
	n.IP4, n.IP6 = ip4, ip6
	n.settled = false
}

func (l *Lab) must(err error) {
	l.Helper()
	if err != nil {
		l.Fatalf("%v", err)
	}
}
