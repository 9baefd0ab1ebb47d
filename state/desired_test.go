package state_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/statetest"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/state"
)

// text is a set a person can read: a line for each object, in the order of creation.
func text(set *state.Set) string {
	var b strings.Builder
	for k := range state.Kind(state.KindCount) {
		set.Diff(new(state.Set), k, func(c state.Change) {
			fmt.Fprintf(&b, "%s %s %s\n", k, c.Want.Name(), c.Want.Attrs())
			if chain, ok := c.Want.(state.Chain); ok {
				fmt.Fprintf(&b, "  %s\n", strings.ReplaceAll(chain.Rules, "\n", "\n  "))
			}
		})
	}
	return b.String()
}

// The first two peers' MACs and the rest are derived by hand from the rules that other programs
// rely on.
func TestDesired(t *testing.T) {
	got := text(statetest.Desired(t, statetest.Load(t, "../examples/dual-stack.yaml"), "node-b", statetest.Ethernet(), state.DefaultPaths("")))
	want := `link cni0 bridge mtu 1450 address f6:d2:18:5e:88:b9
link podnet.1 vxlan mtu 1450 address 2e:bb:e1:af:6c:59 id 1 dstport 8472 local 192.0.2.12
sysctl net/ipv6/conf/cni0/accept_ra = 0
sysctl net/ipv6/conf/cni0/disable_ipv6 = 0
sysctl net/ipv6/conf/cni0/accept_dad = 0
sysctl net/ipv4/conf/cni0/forwarding = 1
sysctl net/ipv6/conf/podnet.1/accept_ra = 0
sysctl net/ipv6/conf/podnet.1/disable_ipv6 = 0
sysctl net/ipv6/conf/podnet.1/addr_gen_mode = 1
sysctl net/ipv4/conf/podnet.1/forwarding = 1
addr 10.244.1.1/24 dev cni0
addr 10.244.1.0/32 dev podnet.1
addr fd00:10:244:1::1/64 dev cni0
link cni0 up
link podnet.1 up
tunnelSource 192.0.2.11 may send to the tunnel
tunnelSource 192.0.2.13 may send to the tunnel
neigh 10.244.0.0 lladdr 56:41:60:6e:6e:bf
neigh fe80::5441:60ff:fe6e:6ebf lladdr 56:41:60:6e:6e:bf
neigh 10.244.2.0 lladdr 26:14:3e:47:ff:df
neigh fe80::2414:3eff:fe47:ffdf lladdr 26:14:3e:47:ff:df
fdb 56:41:60:6e:6e:bf dst 192.0.2.11
fdb 26:14:3e:47:ff:df dst 192.0.2.13
route 10.244.0.0/24 via 10.244.0.0 dev podnet.1 onlink metric 12179
route fd00:10:244::/64 via fe80::5441:60ff:fe6e:6ebf dev podnet.1 src fd00:10:244:1::1 metric 1024
route 10.244.2.0/24 via 10.244.2.0 dev podnet.1 onlink metric 6757
route fd00:10:244:2::/64 via fe80::2414:3eff:fe47:ffdf dev podnet.1 src fd00:10:244:1::1 metric 1024
chain PODNET-MASQUERADE ipv4 nat, 4 rules, jump from POSTROUTING
  ! -s 10.244.1.0/24 -j RETURN
  -d 10.244.0.0/16 -j RETURN
  -d 224.0.0.0/4 -j RETURN
  -j MASQUERADE --random-fully
chain PODNET-FORWARD ipv4 filter, 2 rules, jump from FORWARD
  -s 10.244.1.0/24 -i cni0 -j ACCEPT
  -d 10.244.1.0/24 -o cni0 -j ACCEPT
chain PODNET-MASQUERADE ipv6 nat, 4 rules, jump from POSTROUTING
  ! -s fd00:10:244:1::/64 -j RETURN
  -d fd00:10:244::/48 -j RETURN
  -d ff00::/8 -j RETURN
  -j MASQUERADE --random-fully
chain PODNET-FORWARD ipv6 filter, 2 rules, jump from FORWARD
  -s fd00:10:244:1::/64 -i cni0 -j ACCEPT
  -d fd00:10:244:1::/64 -o cni0 -j ACCEPT
chain fence-pods inet podnet, 2 rules, type filter hook prerouting priority -300
  iifname "cni0" ip daddr 127.0.0.0/8 drop
  iifname "cni0" fib saddr . iif oif missing drop
chain fence-ports bridge podnet, 2 rules, type filter hook forward priority 0
  iifgroup 7201 icmpv6 type nd-router-advert drop
  oifgroup 7201 icmpv6 type nd-router-advert drop
chain tunnel-senders inet podnet, 3 rules, type filter hook input priority 0
  iifname "cni0" udp dport 8472 drop
  udp dport 8472 @th,96,24 0x1 ip saddr @tunnel-peers ip daddr 192.0.2.12 accept
  udp dport 8472 @th,96,24 0x1 drop
chain tunnel-pods inet podnet, 1 rules, type filter hook forward priority 0
  iifname "cni0" udp dport 8472 ip daddr @tunnel-peers drop
sysctl net/ipv4/ip_forward = 1
sysctl net/ipv6/conf/all/forwarding = 1
conflist 10-podnet.conflist mtu 1450 subnets 10.244.1.0/24,fd00:10:244:1::/64
`
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// A range that the file names twice, in one list or in both, is one rule.
func TestRangeNamedTwice(t *testing.T) {
	topology := statetest.Load(t, "../examples/dual-stack.yaml")
	once := text(statetest.Desired(t, topology, "node-b", statetest.Ethernet(), state.DefaultPaths("")))
	n := &topology.Network
	n.Masquerade.NonMasqueradeCIDRs = append(slices.Clone(n.ClusterCIDRs), netip.MustParsePrefix("224.0.0.0/4"))
	n.ClusterCIDRs = append(n.ClusterCIDRs, n.ClusterCIDRs...)
	if d := cmp.Diff(once, text(statetest.Desired(t, topology, "node-b", statetest.Ethernet(), state.DefaultPaths("")))); d != "" {
		t.Errorf("-named once +named again:\n%s", d)
	}
}

func TestMTU(t *testing.T) {
	for _, c := range []struct {
		file     string
		topology int
		facts    state.Facts
		want     int
	}{
		{"dual-stack", 0, statetest.Ethernet(), 1450},
		{"ipv6-underlay", 0, statetest.Ethernet(), 1430},
		{"dual-stack", 0, state.Facts{UnderlayMTU: 9000}, 8950},
		{"dual-stack", 1400, statetest.Ethernet(), 1400},
		{"dual-stack", 0, state.Facts{}, 1450},
	} {
		topology := statetest.Load(t, "../examples/"+c.file+".yaml")
		topology.Network.MTU = c.topology
		if got := state.MTU(topology, &topology.Nodes[0], c.facts); got != c.want {
			t.Errorf("MTU(%s, mtu %d, underlay %d) = %d, want %d", c.file, c.topology, c.facts.UnderlayMTU, got, c.want)
		}
	}
}

// A host that forwards IPv6 forgets the routes it learned from advertisements, unless it is told
// first.
func TestForwardingWaitsForRouterAdvertisements(t *testing.T) {
	facts := statetest.Ethernet()
	facts.RAListeners = []string{"eth0", "eth1"}
	set := statetest.Desired(t, statetest.Load(t, "../examples/ipv6-only.yaml"), "node-a", facts, state.DefaultPaths(""))
	rows := set.Sysctls.Rows()
	for i, want := range []string{"net/ipv6/conf/eth0/accept_ra", "net/ipv6/conf/eth1/accept_ra", "net/ipv6/conf/all/forwarding"} {
		if rows[i].Path != want {
			t.Errorf("sysctl %d is %s, want %s", i, rows[i].Path, want)
		}
		if i > 0 && rows[i].Parent() != rows[i-1].Key() {
			t.Errorf("%s does not wait for %s", rows[i].Path, rows[i-1].Path)
		}
	}
}

func TestNodeWithoutPodCIDRHoldsNothing(t *testing.T) {
	topology := statetest.Load(t, "../examples/dual-stack.yaml")
	topology.Nodes[1].PodCIDRs = nil
	if got := text(statetest.Desired(t, topology, "node-b", statetest.Ethernet(), state.DefaultPaths(""))); got != "" {
		t.Errorf("a node without podCIDR should hold\n%s", got)
	}
	if got := text(statetest.Desired(t, topology, "node-a", statetest.Ethernet(), state.DefaultPaths(""))); strings.Contains(got, topology.Nodes[1].VTEPMAC.String()) {
		t.Errorf("a node without podCIDR is a peer:\n%s", got)
	}
}

// A node that lacks a family neither speaks it nor routes it.
func TestPeersCountInSharedFamilies(t *testing.T) {
	topology := statetest.Load(t, "../examples/dual-stack.yaml")
	topology.Nodes[1].PodCIDRs = topology.Nodes[1].PodCIDRs[:1]
	got := text(statetest.Desired(t, topology, "node-b", statetest.Ethernet(), state.DefaultPaths("")))
	for _, unwanted := range []string{"fd00:", "fe80:", "ipv6 ", "all/forwarding"} {
		if strings.Contains(got, unwanted) {
			t.Errorf("an IPv4 node should hold %q:\n%s", unwanted, got)
		}
	}
}

func TestIPv6NeedsAKernelAndAnMTU(t *testing.T) {
	topology := statetest.Load(t, "../examples/ipv6-only.yaml")
	for _, facts := range []state.Facts{{UnderlayMTU: 1500}, {Underlay: "wan0", UnderlayMTU: 1300, IPv6: true}} {
		if _, err := state.Desired(topology, &topology.Nodes[0], facts, state.DefaultPaths("")); err == nil {
			t.Errorf("%+v: no error", facts)
		} else {
			t.Log(err)
		}
	}
}
