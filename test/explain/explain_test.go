// Package explain puts faults into a lab of real nodes and asks podnetctl explain to name them;
// each fix that it proposes is pasted into a shell on the node, after which nothing may be broken
// any more.
package explain

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) {
	os.Exit(lab.Isolate(m, "podnetd", "podnetctl", "cni/bridge", "cni/host-local", "cni/loopback", "cni/portmap"))
}

// explanation is what a test reads of the document.
type explanation struct {
	From, To, Node, Cause, Fix, Advice, Note, Return, ReturnOn string
	Look                                                       []string
	Broken                                                     int
	Hops                                                       []struct {
		N                               int
		Kind, Detail, State, Want, Note string
	}
}

// site is two nodes with a pod each, in sync, whose daemons have stopped: nothing heals what a test
// breaks.
type site struct {
	*testing.T
	a, b     *lab.Node
	web, db  *lab.Pod
	topology lab.Topology
	lab      *lab.Lab
}

func newSite(t *testing.T, extra ...string) *site {
	t.Helper()
	s := &site{T: t, lab: lab.New(t)}
	s.a, s.b = s.lab.Node("node-a"), s.lab.Node("node-b")
	s.topology = s.lab.Topology()
	s.topology.Extra = extra
	for _, n := range s.lab.Nodes {
		n.Write(s.topology.String())
		n.Start()
		n.AwaitInForce()
		n.Stop()
	}
	s.web, s.db = s.a.Pod("web"), s.b.Pod("db")
	return s
}

func (s *site) explain(n *lab.Node, code int, args ...string) explanation {
	s.Helper()
	out := n.Podnetctl(append([]string{"explain", "-o", "json"}, args...)...)
	var e explanation
	if err := json.Unmarshal([]byte(out.Stdout), &e); err != nil {
		s.Fatalf("explain %v: exit code %d, %v\n%s%s", args, out.Code, err, out.Stdout, out.Stderr)
	}
	if out.Code != code {
		s.Errorf("explain %v: exit code %d, want %d\n%s", args, out.Code, code, n.Podnetctl(append([]string{"explain"}, args...)...).Stdout)
	}
	return e
}

// paste runs a proposed command in a shell on the node; podnetctl there means this node's.
func (s *site) paste(n *lab.Node, command string) {
	s.Helper()
	full := strings.ReplaceAll(command, "podnetctl", fmt.Sprintf("%s --root %s --node %s", lab.Program("podnetctl"), n.Root, n.Host))
	if out := n.Execute("sh", "-c", full); out.Code != 0 {
		s.Errorf("the fix does not run: %s\nexit code %d %s%s", command, out.Code, out.Stdout, out.Stderr)
	}
}

// fault is one way to break a node, and what explain has to say of it.
type fault struct {
	name      string
	on        func(*site) // breaks it
	kind      string      // of the first broken hop
	cause     string      // a part of the cause
	probe     bool        // it takes packets to find out
	mend      func(*site) // instead of the fix, which is for a person's hands
	ipv6      bool
	elsewhere bool // the fix is no command
	advice    string
}

// sh breaks node-a by commands; $VETH is the host veth of its pod, $MAC the tunnel's MAC of node-b.
func sh(lines ...string) func(*site) {
	return func(s *site) {
		s.Helper()
		veth := strings.Fields(strings.ReplaceAll(s.a.Sh("ip -o link show group 7201"), "@", " "))[1]
		mac := strings.Fields(s.b.Sh("ip -br link show podnet.1"))[2]
		for _, line := range lines {
			line = strings.NewReplacer("$VETH", strings.TrimSuffix(veth, ":"), "$MAC", mac).Replace(line)
			if out := s.a.Execute("sh", "-c", line); out.Code != 0 {
				s.Fatalf("%s: %s", line, out.Stderr)
			}
		}
	}
}

var faults = []fault{
	{name: "pod's host veth down", on: sh("ip link set $VETH down"), kind: "port", cause: "host veth was set down"},
	{name: "pod's interface down", on: func(s *site) { s.inPod("ip link set eth0 down") }, kind: "pod", cause: "eth0 in the pod was set down"},
	{name: "pod's default route gone", on: func(s *site) { s.inPod("ip route del default") }, kind: "pod", cause: "lost its route"},
	{name: "pod's address gone", on: func(s *site) { s.inPod("ip addr flush dev eth0 scope global") }, kind: "pod", cause: "lost its address"},
	{name: "port missing", on: sh("ip link set $VETH nomaster"), kind: "port", cause: "port is missing"},
	{name: "port blocked", on: sh("bridge link set dev $VETH state 0"), kind: "port", cause: "does not let the port forward"},
	{name: "bridge down", on: sh("ip link set cni0 down"), kind: "port", cause: "bridge down"},
	{name: "/32 shadows the route", on: sh("ip route add 10.244.1.2/32 via 192.0.2.1 dev eth0"), kind: "route", cause: "10.244.1.2/32"},
	{name: "/25 shadows the route", on: sh("ip route add 10.244.1.0/25 via 192.0.2.1 dev eth0 proto static"), kind: "route", cause: "10.244.1.0/25"},
	{name: "a blackhole shadows the route", on: sh("ip route add blackhole 10.244.1.0/25"), kind: "route", cause: "10.244.1.0/25"},
	{name: "a longer IPv6 prefix", on: sh("ip -6 route add fd00:10:244:1::/80 via 2001:db8::1 dev eth0"), kind: "route", cause: "fd00:10:244:1::/80", ipv6: true},
	{name: "an unreachable IPv6 route", on: sh("ip -6 route add unreachable fd00:10:244:1::/80"), kind: "route", cause: "fd00:10:244:1::/80", ipv6: true},
	{name: "another route in front", on: sh("ip route add 10.244.1.0/24 via 192.0.2.1 dev eth0"), kind: "route", cause: "stands before podnet's"},
	{name: "a policy rule diverts it", on: sh("ip route add default via 192.0.2.1 table 100", "ip rule add pref 100 from 10.244.0.0/24 lookup 100"), kind: "route",
		cause: "policy rule 100 (from 10.244.0.0/24 lookup 100)"},
	{name: "a policy rule by interface", on: sh("ip route add 10.244.1.0/24 via 192.0.2.1 table 101", "ip rule add pref 101 iif cni0 lookup 101"), kind: "route",
		cause: "policy rule 101 (from all iif cni0 lookup 101)"},
	{name: "a policy rule drops it", on: sh("ip rule add pref 102 to 10.244.1.0/24 prohibit"), kind: "route", cause: "policy rule 102 (from all to 10.244.1.0/24 prohibit) drops"},
	{name: "an IPv6 policy rule drops it", on: sh("ip -6 rule add pref 103 to fd00:10:244:1::/64 blackhole"), kind: "route", cause: "policy rule 103 (from all to fd00:10:244:1::/64 blackhole) drops", ipv6: true},
	{name: "a VPN's rule takes all", on: sh("ip route add 10.0.0.0/8 via 192.0.2.1 table 100", "ip rule add pref 5270 lookup 100"), kind: "route", cause: "policy rule 5270"},
	{name: "a rule takes the tunnel's packets", on: sh("ip route add default via 192.0.2.1 table 100", "ip rule add pref 30200 from 192.0.2.11 lookup 100"), kind: "underlay",
		cause: "policy rule 30200 (from 192.0.2.11/32 lookup 100) has what the tunnel sends to node-b looked up in table 100"},
	{name: "a rule drops the tunnel's packets", on: sh("ip route add unreachable default table 100", "ip rule add pref 30200 from 192.0.2.11 lookup 100"), kind: "underlay",
		cause: "policy rule 30200"},
	{name: "no rule for table main", on: sh("ip rule del pref 32766"), kind: "route", cause: "no policy rule leads to table main"},
	{name: "spanning tree", on: sh("ip link set cni0 type bridge stp_state 1 forward_delay 1500", "ip link set $VETH down", "ip link set $VETH up"), kind: "port", cause: "spanning tree"},
	{name: "two faults at once", on: sh("ip neigh del 10.244.1.0 dev podnet.1", "bridge fdb del $MAC dev podnet.1 dst 192.0.2.12 self"), kind: "neighbour", cause: "neighbour entry of node-b is gone"},
	{name: "route gone", on: sh("ip route del 10.244.1.0/24"), kind: "route", cause: "route to node-b's pods is gone"},
	{name: "route gone, and no default", on: sh("ip route del 10.244.1.0/24", "ip route del default"), kind: "route", cause: "route to node-b's pods is gone"},
	{name: "forwarding off", on: sh("sysctl -qw net.ipv4.ip_forward=0"), kind: "route", cause: "forwarding was switched off"},
	{name: "the bridge's forwarding off", on: sh("sysctl -qw net.ipv4.conf.cni0.forwarding=0"), kind: "route", cause: "forwarding was switched off"},
	{name: "wrong neighbour", on: sh("ip neigh replace 10.244.1.0 lladdr 02:00:00:00:00:99 dev podnet.1 nud permanent"), kind: "neighbour", cause: "no node of this cluster"},
	{name: "neighbour gone", on: sh("ip neigh del 10.244.1.0 dev podnet.1"), kind: "neighbour", cause: "neighbour entry of node-b is gone"},
	{name: "FDB entry to the wrong node", on: sh("bridge fdb replace $MAC dev podnet.1 dst 192.0.2.66 self permanent"), kind: "fdb",
		cause: "frames for node-b go to 192.0.2.66 (no node of this cluster); topology.yaml:"},
	{name: "FDB entry gone", on: sh("bridge fdb del $MAC dev podnet.1 dst 192.0.2.12 self"), kind: "fdb", cause: "FDB entry of node-b is gone"},
	{name: "tunnel down", on: sh("ip link set podnet.1 down"), kind: "route", cause: "podnet.1 was set down"},
	{name: "the tunnel's port taken", on: sh("ip link set podnet.1 down", "ip link add cilium_vxlan type vxlan external dstport 8472", "ip link set cilium_vxlan up"), kind: "route",
		cause: "UDP 8472, the tunnel's port, is held by the link cilium_vxlan (vxlan, external)"},
	{name: "the tunnel's port taken by a program", on: func(s *site) {
		sh("ip link set podnet.1 down")(s)
		s.a.TakePort(8472)
	}, kind: "route", cause: "UDP 8472, the tunnel's port, is held by perl"},
	{name: "underlay route gone", on: sh("ip route del 192.0.2.0/24 dev eth0"), kind: "underlay", cause: "route to this host's own subnet is gone"},
	{name: "underlay route gone, and no default", on: sh("ip route del default", "ip route del 192.0.2.0/24 dev eth0"), kind: "underlay", cause: "no route to node-b at 192.0.2.12"},
	{name: "underlay MTU too small", on: sh("ip link set eth0 mtu 1400"), kind: "underlay", cause: "MTU is too small"},
	{name: "MTU too small on the way", on: func(s *site) { s.outside("ip link set port12 mtu 1400") }, kind: "mtu", cause: "the MTU on the way to node-b is too small", probe: true,
		elsewhere: true, advice: "network.mtu: 1350 ", mend: func(s *site) { s.outside("ip link set port12 mtu 1500") }},
	{name: "firewall drops the pods' packets", on: sh("iptables -I FORWARD -d 10.244.1.0/24 -j DROP"), kind: "firewall", cause: "drops packets for node-b"},
	{name: "firewall rejects all in front", on: sh("iptables -I FORWARD -j REJECT --reject-with icmp-host-prohibited"), kind: "firewall", cause: "drops packets for node-b"},
	{name: "firewall drops in a chain of its own", on: sh("iptables -N FW", `iptables -A FW -i cni+ -m comment --comment "no pods -j here" -j DROP`, "iptables -I FORWARD -j FW"),
		kind: "firewall", cause: "drops packets for node-b"},
	{name: "firewall drops before routing", on: sh("iptables -t raw -A PREROUTING -s 10.244.0.0/16 -j DROP"), kind: "firewall", cause: "drops packets for node-b"},
	{name: "firewall drops answers", on: sh("iptables -I FORWARD -i podnet.1 -j DROP"), kind: "firewall", cause: "drops what node-b answers"},
	{name: "firewall drops the tunnel, out", on: sh("iptables -A OUTPUT -p udp -m udp --dport 8472 -j DROP"), kind: "firewall", cause: "udp/8472 out"},
	{name: "firewall drops the tunnel, in", on: sh("iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -j DROP"),
		kind: "firewall", cause: "udp/8472 in"},
	{name: "INPUT drops at its end", on: sh("iptables -P INPUT DROP"), kind: "firewall", cause: "udp/8472 in"},
	{name: "podnet's chain emptied, FORWARD drops", on: sh("iptables -P FORWARD DROP", "iptables -F PODNET-FORWARD"), kind: "firewall", cause: "drops packets for node-b"},
	{name: "an nftables chain drops", on: sh("nft add table inet fw", "nft 'add chain inet fw forward { type filter hook forward priority 10; policy drop; }'",
		"nft add rule inet fw forward ct state established,related accept"), kind: "firewall", cause: "drops packets for node-b"},
	{name: "an nftables rule drops", on: sh("nft add table ip mine", "nft 'add chain ip mine post { type filter hook postrouting priority 0; }'",
		"nft 'add rule ip mine post oifname { podnet.1, lo } ip daddr 10.244.1.0/24 counter drop'"), kind: "firewall", cause: "drops packets for node-b"},
	{name: "peer dead", on: func(s *site) { s.outside("ip link set port12 down") }, kind: "underlay or probe", cause: "it is down, or cut off", probe: true, elsewhere: true,
		mend: func(s *site) { s.outside("ip link set port12 up") }},
	{name: "peer's podnet gone", on: func(s *site) { s.b.Sh("ip link set podnet.1 down") }, kind: "probe", cause: "node-b answers at 192.0.2.12, but not through the tunnel", probe: true,
		elsewhere: true, mend: func(s *site) { s.b.Podnetctl("apply") }},
	{name: "peer's pod dead", on: func(s *site) { s.onDB("ip link set eth0 down") }, kind: "probe", cause: "node-b's gateway answers, 10.244.1.2 does not", probe: true,
		elsewhere: true, mend: func(s *site) {
			s.onDB("ip link set eth0 up")
			s.onDB("ip route add default via 10.244.1.1")
			s.onDB("ip addr replace " + s.db.Addr6() + "/64 dev eth0 nodad")
			s.onDB("ip route add default via fd00:10:244:1::1")
		}},
}

// Each fault is put in, named at its hop with its cause, and mended by the fix that explain
// proposes, word for word.
func TestFaults(t *testing.T) {
	s := newSite(t)
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			s := &site{T: t, a: s.a, b: s.b, web: s.web, db: s.db, topology: s.topology, lab: s.lab}
			args := []string{"--from", "default/web", s.db.Addr4()}
			if f.ipv6 {
				args[2] = s.db.Addr6()
			}
			if f.probe {
				args = append(args, "--probe")
			}
			s.explain(s.a, 0, args...)
			f.on(s)
			e := s.explain(s.a, 1, args...)
			if e.Broken == 0 || !strings.Contains(f.kind, e.Hops[e.Broken-1].Kind) || !strings.Contains(e.Cause, f.cause) || f.elsewhere != (e.Fix == "") || e.Fix == e.Advice {
				t.Errorf("broken hop %d of %+v\ncause %s\nfix %s\nadvice %s\nwant %s: %s", e.Broken, e.Hops, e.Cause, e.Fix, e.Advice, f.kind, f.cause)
			}
			t.Logf("%s: %s -> %s", f.kind, e.Cause, e.Fix)
			if f.advice != "" && !strings.Contains(e.Advice, f.advice) {
				t.Errorf("advice %q, want %q", e.Advice, f.advice)
			}
			before := s.talks()
			if f.mend != nil {
				f.mend(s)
			}
			if !f.elsewhere {
				s.paste(s.a, e.Fix)
			}
			s.mended(append(args, "--probe")...)
			s.keep(before)
			if err := s.web.Reach(s.db); err != nil && !f.elsewhere {
				s.Error(err)
			}
			s.restore()
		})
	}
}

// talks are the ways that work: between pods of either node, to the nodes and to the outside.
func (s *site) talks() map[string]bool {
	var mu sync.Mutex
	var all sync.WaitGroup
	works := map[string]bool{}
	for from, ns := range map[string]*lab.Namespace{"web": s.web.Namespace, "db": s.db.Namespace, "node-a": s.a.Namespace, "node-b": s.b.Namespace} {
		for _, to := range []string{s.web.Addr4(), s.web.Addr6(), s.db.Addr4(), s.db.Addr6(), s.a.IP4, s.b.IP4, lab.Gateway4} {
			all.Go(func() {
				err := ns.Ping(to)
				mu.Lock()
				works[from+" to "+to] = err == nil
				mu.Unlock()
			})
		}
	}
	all.Wait()
	return works
}

// keep checks that nothing that worked before a fix is cut off by it.
func (s *site) keep(before map[string]bool) {
	s.Helper()
	after := s.talks()
	for way, worked := range before {
		if worked && !after[way] {
			s.Errorf("the fix has cut off %s", way)
		}
	}
}

// mended waits until nothing is broken any more: the kernel takes up to a second to see that a link
// is up.
func (s *site) mended(args ...string) {
	s.Helper()
	lab.Eventually(s.T, lab.Patience, "nothing broken any more", func() error {
		out := s.a.Podnetctl(append([]string{"explain"}, args...)...)
		if out.Code != 0 {
			return fmt.Errorf("exit code %d\n%s%s", out.Code, out.Stdout, out.Stderr)
		}
		return nil
	})
}

func (s *site) inPod(line string) {
	s.Helper()
	if _, err := s.web.Sh(line); err != nil {
		s.Fatal(err)
	}
}

func (s *site) onDB(line string) {
	s.Helper()
	if _, err := s.db.Sh(line); err != nil {
		s.Fatal(err)
	}
}

func (s *site) outside(line string) {
	s.Helper()
	if _, err := s.lab.Outside().Sh(line); err != nil {
		s.Fatal(err)
	}
}

// restore takes away what a fault has left that breaks nothing any more.
func (s *site) restore() {
	for _, line := range []string{
		"ip rule del pref 5270", "ip rule del pref 5269", "ip rule del pref 30200", "ip rule del pref 30199", "ip rule del pref 100", "ip rule del pref 99", "ip rule del pref 101",
		"ip link del cilium_vxlan", "ip rule del pref 102", "ip rule del pref 101", "ip -6 rule del pref 103", "ip -6 rule del pref 102", "ip route flush table 100", "ip route flush table 101", "ip route replace default via " + lab.Gateway4, "iptables -P INPUT ACCEPT", "iptables -F INPUT",
		"iptables -P FORWARD ACCEPT", "iptables -D FORWARD -j FW", "iptables -F FW", "iptables -X FW", "nft delete table inet fw", "nft delete table ip mine",
	} {
		_ = s.a.Execute("sh", "-c", line) // most have nothing to take
	}
}

// Over an IPv6 underlay the tunnel's packets are of the other family than most pods', and so is the
// firewall in their way.
func TestIPv6Underlay(t *testing.T) {
	s := &site{T: t, lab: lab.New(t)}
	s.a, s.b = s.lab.Node("node-a"), s.lab.Node("node-b")
	s.topology = s.lab.Topology()
	for i, n := range s.lab.Nodes {
		s.topology.Nodes[i].IP = n.IP6
	}
	for _, n := range s.lab.Nodes {
		n.Write(s.topology.String())
		n.Start()
		n.AwaitInForce()
		n.Stop()
	}
	s.web, s.db = s.a.Pod("web"), s.b.Pod("db")
	for _, to := range s.db.Addrs() {
		s.explain(s.a, 0, "--from", "web", "--probe", to.String())
	}
	exits := func(code int, args ...string) {
		t.Helper()
		if out := s.a.Podnetctl(args...); out.Code != code {
			t.Errorf("%v: exit code %d, want %d\n%s%s", args, out.Code, code, out.Stdout, out.Stderr)
		}
	}
	exits(0, "explain", "--all", "--probe")
	s.a.Sh("ip6tables -P INPUT DROP")
	e := s.explain(s.a, 1, "--from", "web", s.db.Addr4())
	if e.Fix != "ip6tables -t filter -I INPUT -p udp --dport 8472 -j ACCEPT" {
		t.Errorf("%+v", e)
	}
	exits(1, "explain", "--all")
	s.paste(s.a, e.Fix)
	s.explain(s.a, 0, "--from", "web", s.db.Addr4())
}

// Questions that have no answer are errors that say what to ask instead.
func TestQuestions(t *testing.T) {
	s := newSite(t)
	twin := s.a.NewPod("twin")
	twin.PodName = "web"
	if _, err := twin.Add(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		says string
	}{
		{nil, "explain --all"},
		{[]string{"--all", "node-b"}, "--all goes to every peer: leave node-b out"},
		{[]string{"node-x"}, "neither an address nor a node"},
		{[]string{"--from", "default/db", "node-b"}, "no pod of this node is default/db"},
		{[]string{"--from", s.db.Addr4(), "node-a"}, "is a pod of node-b"},
		{[]string{"--from", "default/web", "node-b"}, twin.Addr4()},
		{[]string{"fe80::1"}, "by such an address"},
	} {
		out := s.a.Podnetctl(append([]string{"explain"}, c.args...)...)
		if out.Code != 2 || !strings.Contains(out.Stderr, c.says) || out.Stdout != "" {
			t.Errorf("explain %v: exit code %d, want 2 and %q\n%s%s", c.args, out.Code, c.says, out.Stdout, out.Stderr)
		}
	}
	s.explain(s.a, 0, "--from", twin.ID[:10], "--probe", s.web.Addr4())
	s.explain(s.a, 0, "--from", twin.Addr6(), "--probe", s.db.Addr6())
	s.explain(s.a, 0, "--from", twin.Addr4(), "--probe", lab.Gateway4)
	if e := s.explain(s.a, 1, "10.244.0.200"); !strings.Contains(e.Cause, "no pod of this node has 10.244.0.200") {
		t.Errorf("%+v", e)
	}
}
