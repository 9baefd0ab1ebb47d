package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// site is a topology of so many peers and the node itself.
func site(n *lab.Node, peers int) lab.Topology {
	t := lab.Topology{Name: "bench", Extra: []string{`network: {clusterCIDRs: ["10.128.0.0/9"]}`}}
	for i := range peers + 1 {
		e := lab.Entry{
			Name:     fmt.Sprintf("node-%05d", i),
			IP:       netip.AddrFrom4([4]byte{172, byte(16 + i>>16), byte(i >> 8), byte(i)}).String(),
			PodCIDRs: []string{fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255)},
		}
		if i == 0 {
			e.Name, e.IP = n.Host, n.IP4
		}
		t.Nodes = append(t.Nodes, e)
	}
	return t
}

// peers measures a cold start: from a node without anything to one with an entry for every peer. podnet's side is the
// whole process, which reads the file, checks it, plans, applies, and looks again; the other side is given the finished
// commands.
func (b bench) peers(count, rounds int) {
	var ours, theirs, idle []time.Duration
	var last *lab.Node
	for round := range rounds {
		batched := b.lab.Node(fmt.Sprintf("batch-%d-%d", count, round))
		topology := site(batched, count)
		theirs = append(theirs, b.batch(batched, topology))
		b.verify(batched, topology)
		b.drop(batched)

		n := b.lab.Node(fmt.Sprintf("podnet-%d-%d", count, round))
		topology = site(n, count)
		n.Write(topology.String())
		ours = append(ours, b.apply(n))
		b.verify(n, topology)
		idle = append(idle, b.apply(n))
		if last != nil {
			b.drop(last)
		}
		last = n
	}
	versus(fmt.Sprintf("%d peers, cold (other: ip/bridge -batch)", count), ours, theirs)
	alone(fmt.Sprintf("%d peers, a pass with nothing to do", count), ms(median(idle)))

	trace := last.Traced(lab.Program("podnetctl"), "--root", last.Root, "--node", last.Host, "apply")
	messages := 0
	for _, n := range trace.Mutating() {
		messages += n
	}
	alone("  mutating netlink messages of it", fmt.Sprint(messages))

	d := last.Start()
	last.AwaitInForce()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.PID))
	if err != nil {
		b.Fatalf("%v", err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if f := strings.Fields(line); len(f) == 3 && (f[0] == "VmRSS:" || f[0] == "VmHWM:") {
			var kB int
			if _, err := fmt.Sscan(f[1], &kB); err != nil {
				b.Fatalf("%s: %v", line, err)
			}
			alone(fmt.Sprintf("  podnetd with them, %s", strings.TrimSuffix(f[0], ":")), fmt.Sprintf("%.1f MiB", float64(kB)/1024))
		}
	}
	last.Stop()
	b.drop(last)
}

// apply is one run of podnetctl apply, from exec to exit.
func (b bench) apply(n *lab.Node) time.Duration {
	out := n.Podnetctl("apply")
	if out.Code != 0 {
		b.Fatalf("apply: exit code %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	return out.Took
}

// batch makes the same device and entries with iproute2, one process for ip and one for bridge.
func (b bench) batch(n *lab.Node, t lab.Topology) time.Duration {
	ip := []string{
		"link add podnet.1 address " + contract.VTEPMAC(t.Name, n.Host) + " type vxlan id 1 dstport 8472 local " + n.IP4 + " nolearning",
		"addr add 10.128.0.0/32 dev podnet.1",
		"link set podnet.1 mtu 1450 up",
	}
	var fdb []string
	for _, p := range t.Peers(n.Host) {
		mac, cidr := contract.VTEPMAC(t.Name, p.Name), netip.MustParsePrefix(p.PodCIDRs[0])
		fdb = append(fdb, fmt.Sprintf("fdb add %s dev podnet.1 dst %s self permanent", mac, p.IP))
		ip = append(ip,
			fmt.Sprintf("neigh add %s lladdr %s dev podnet.1 nud permanent", cidr.Addr(), mac),
			fmt.Sprintf("route add %s via %s dev podnet.1 onlink metric %d proto 72", cidr, cidr.Addr(), contract.Metric(cidr)))
	}
	begin := time.Now()
	if err := n.Batch("ip", ip...); err != nil {
		b.Fatalf("%v", err)
	}
	if err := n.Batch("bridge", fdb...); err != nil {
		b.Fatalf("%v", err)
	}
	return time.Since(begin)
}

// verify makes sure that both sides did the same.
func (b bench) verify(n *lab.Node, t lab.Topology) {
	if err := n.CheckPeers(t); err != nil {
		b.Fatalf("%.2000v", err)
	}
}

// drop ends a node, so that its entries don't weigh on the next round.
func (b bench) drop(n *lab.Node) {
	if err := n.Close(); err != nil {
		b.Fatalf("%v", err)
	}
}
