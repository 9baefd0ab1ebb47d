package main

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// story is the cluster as it stands.
type story struct {
	*report
	lab      *lab.Lab
	topology lab.Topology
	pods     []*lab.Pod
	bare     map[*lab.Node]string // what the kernel held before podnet came
}

// start makes the nodes, gives each the same file and starts podnetd.
func (s *story) start(names ...string) {
	s.chapter("Cluster: one file, the same on every node; nodes exchange nothing", "nodes, from exec to ready", "ready")
	s.bare = map[*lab.Node]string{}
	for _, name := range names {
		n := s.lab.Node(name)
		foreign(n)
		s.bare[n] = n.Network()
	}
	s.topology = s.file()
	for _, n := range s.lab.Nodes {
		n.Write(s.topology.String())
		s.boot(n)
	}
}

// file is the topology of the nodes there are. The cluster's ranges are given, or each new node
// would widen them.
func (s *story) file() lab.Topology {
	t := s.lab.Topology()
	t.Count = len(t.Nodes)
	t.Extra = []string{`network:`, `  clusterCIDRs: ["10.244.0.0/16", "fd00:10:244::/48"]`}
	return t
}

// foreign puts objects on a host that are none of podnet's business and must survive it.
func foreign(n *lab.Node) {
	n.Sh("ip link add storage0 type bridge")
	n.Sh("ip addr add 198.51.100.1/24 dev storage0")
	n.Sh("ip route add 203.0.113.0/24 via 192.0.2.1 proto static")
	n.Sh("iptables -A FORWARD -s 203.0.113.7 -j DROP")
}

// boot starts podnetd and waits until the kernel holds what the contract derives from the file.
func (s *story) boot(n *lab.Node) {
	begin := time.Now()
	n.Start()
	_, err := lab.Poll(s.Context(), lab.Patience, func() error { return n.CheckPeers(s.topology) })
	took := time.Since(begin)
	e := s.topology.Nodes[len(s.topology.Nodes)-1]
	for _, entry := range s.topology.Nodes {
		if entry.Name == n.Host {
			e = entry
		}
	}
	s.line(fmt.Sprintf("%-8s %-13s %s", n.Host, e.IP, strings.Join(e.PodCIDRs, "  ")), took, err)
}

// connect adds two pods to each node and has them all talk.
func (s *story) connect() {
	s.chapter("Pods, through the CNI plugins", "pods, ADD", "added")
	for _, n := range s.lab.Nodes {
		s.addPod(n, "web-"+strings.TrimPrefix(n.Host, "node-"))
		s.addPod(n, "db-"+strings.TrimPrefix(n.Host, "node-"))
	}
	s.chapter("Every pod pings every other, in both families", "pings", "answered")
	s.pingAll()
	p := s.pods[0]
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		addr := netip.AddrPortFrom(netip.MustParseAddr(loopback), 8080)
		s.line(fmt.Sprintf("two processes of pod %s over localhost, %v", p.PodName, addr), 0, p.Talk(p.Namespace, addr))
	}
}

func (s *story) addPod(n *lab.Node, name string) {
	p := n.NewPod(name)
	begin := time.Now()
	_, err := p.Add()
	took := time.Since(begin)
	var addrs []string
	for _, a := range p.Addrs() {
		addrs = append(addrs, fmt.Sprintf("%-12v", a))
	}
	s.line(fmt.Sprintf("%-8s %-8s %s", n.Host, name, strings.Join(addrs, "  ")), took, err)
	if err == nil {
		s.pods = append(s.pods, p)
	}
}

// pingAll pings from every pod to every other and reports same node and across nodes, by family.
func (s *story) pingAll() {
	type kind struct {
		across bool
		ipv6   bool
	}
	done, total, fault := map[kind]int{}, map[kind]int{}, map[kind]error{}
	for _, from := range s.pods {
		for _, to := range s.pods {
			if from == to {
				continue
			}
			for _, addr := range to.Addrs() {
				k := kind{from.Node != to.Node, addr.Is6()}
				total[k]++
				if err := from.Ping(addr.String()); err != nil {
					fault[k] = fmt.Errorf("%s -> %s: %w", from.PodName, to.PodName, err)
				} else {
					done[k]++
				}
			}
		}
	}
	for _, k := range []kind{{false, false}, {false, true}, {true, false}, {true, true}} {
		where, family := "on one node", "IPv4"
		if k.across {
			where = "across nodes"
		}
		if k.ipv6 {
			family = "IPv6"
		}
		if total[k] > 0 {
			s.many(where+", "+family, done[k], total[k], fault[k])
		}
	}
}

// edit changes the file: a node joins, another has moved to a new address.
func (s *story) edit() {
	s.chapter("Edit: node-d joins, node-b has moved to 192.0.2.99", "edit, from file to kernel", "converged")
	moved := s.lab.Nodes[1]
	s.lab.Renumber(moved, "192.0.2.99", "2001:db8::99")
	joining := s.lab.Node("node-d")
	s.topology = s.file()
	text := s.topology.String()

	first := s.lab.Nodes[0]
	first.WriteFile("/etc/podnet/topology.next.yaml", text)
	out := first.Podnetctl("diff", first.Path("/etc/podnet/topology.next.yaml"))
	fmt.Printf("node-a$ podnetctl diff /etc/podnet/topology.next.yaml\n%s", out.Stdout+out.Stderr)
	if out.Code != 1 {
		s.line("diff says that there is something to do", 0, fmt.Errorf("exit code %d, want 1", out.Code))
	}

	begin := time.Now()
	for _, n := range s.lab.Nodes {
		n.Write(text)
	}
	// All nodes at once: nobody waits for another.
	old := s.lab.Nodes[:len(s.lab.Nodes)-1]
	took, errs := make([]time.Duration, len(old)), make([]error, len(old))
	var wg sync.WaitGroup
	for i, n := range old {
		wg.Go(func() {
			_, errs[i] = lab.Poll(s.Context(), lab.Patience, func() error { return n.CheckPeers(s.topology) })
			took[i] = time.Since(begin)
		})
	}
	wg.Wait()
	for i, n := range old {
		s.line(n.Host+" has the new entries", took[i], errs[i])
	}
	s.boot(joining)

	s.chapter("The pods see none of it, and the new node's pods are reached at once", "pings after the edit", "answered")
	s.addPodQuietly(joining, "web-d")
	s.pingAll()
}

// addPodQuietly adds a pod without a line of its own.
func (s *story) addPodQuietly(n *lab.Node, name string) *lab.Pod {
	p := n.Pod(name)
	s.pods = append(s.pods, p)
	return p
}
