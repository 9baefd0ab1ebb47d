package kernel_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/statetest"
)

// A subnet of this host that holds podCIDRs is told once, with the choice that there is; no remedy
// takes the node's address away.
func TestWiderLAN(t *testing.T) {
	for _, c := range []struct{ name, command, object, says string }{
		{"all podCIDRs", "ip addr add 10.244.200.11/16 dev eth0", "10.244.0.0/16", "contains podCIDRs (10.244.0.0/24 and 2 more)"},
		{"a peer's alone", "ip addr add 10.244.1.11/23 dev eth0", "10.244.0.0/23", "contains podCIDRs"},
		{"IPv6", "ip addr add fd00:10:244:ff::1/48 dev eth0 nodad", "fd00:10:244::/48", "contains podCIDRs (fd00:10:244::/64 and 2 more)"},
		{"beside them", "ip addr add 10.244.200.11/18 dev eth0", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, want := misrouted(t, c.command)
			got := conflictsOf(t, node, want)
			if c.object == "" && len(got) > 0 {
				t.Errorf("conflicts: %+v", got)
			}
			for _, g := range got {
				if strings.Contains(g.Remedy, "addr del") {
					t.Errorf("remedy %s", g.Remedy)
				}
			}
			if c.object != "" && (len(got) != 1 || got[0].Object() != c.object || !strings.Contains(got[0].Owner, c.says) || got[0].Counts || got[0].Blocks) {
				t.Errorf("conflicts: %+v", got)
			}
		})
	}
}

// An offline check warns of a host's own subnets on that host alone.
func TestWarnOfLANs(t *testing.T) {
	topology := statetest.Load(t, "../../examples/dual-stack.yaml")
	addrs := []kernel.HostAddr{
		{Prefix: netip.MustParsePrefix("127.0.0.1/8"), Link: "lo"}, {Prefix: netip.MustParsePrefix("10.244.0.1/24"), Link: "cni0"},
		{Prefix: netip.MustParsePrefix("10.244.200.1/16"), Link: "eth1"},
	}
	node := &topology.Nodes[0]
	if got := kernel.WarnOfLANs(topology, node, addrs); len(got) > 0 {
		t.Errorf("on another host: %v", got)
	}
	got := kernel.WarnOfLANs(topology, node, append(addrs, kernel.HostAddr{Prefix: netip.PrefixFrom(node.IP, 24), Link: "eth0"}))
	if len(got) != 1 || got[0].Line != node.Line || !strings.Contains(got[0].Message, "eth1's subnet 10.244.0.0/16") || got[0].Remedy == "" {
		t.Errorf("on its host: %v", got)
	}
}
