package cluster

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

// The goldens say what state/REFERENCE.md asks for, line by line; -update writes what the kernel
// holds, which is then to be read against that description.
var update = flag.Bool("update", false, "write the golden files")

// goldens are the topologies in testdata, with what they say of node-a's peers: node-a is the lab's
// only node.
var goldens = []struct {
	name, bridge, vxlan string
	peers               []contract.Peer
}{
	{"ipv4", "cni0", "podnet.1", []contract.Peer{
		{Name: "node-b", IP: "192.0.2.12", PodCIDRs: []string{"10.244.1.0/24"}},
		{Name: "node-c", IP: "192.0.2.13", PodCIDRs: []string{"10.244.2.0/25"}},
	}},
	{"ipv6", "cni0", "podnet.1", []contract.Peer{
		{Name: "node-b", IP: "192.0.2.12", PodCIDRs: []string{"fd00:10:244:1::/64"}},
	}},
	{"dualstack", "br-pods", "podnet.7", []contract.Peer{ // node-c has no podCIDR yet
		{Name: "node-b", IP: "192.0.2.12", PodCIDRs: []string{"10.244.1.0/24", "fd00:10:244:1::/64"}},
		{Name: "node-d", IP: "192.0.2.14", PodCIDRs: []string{"10.244.3.0/24", "fd00:10:244:3::/64"}, MAC: "02:00:00:00:00:0d"},
	}},
	{"underlay6", "cni0", "podnet.1", []contract.Peer{
		{Name: "node-b", IP: "2001:db8::12", PodCIDRs: []string{"10.244.1.0/24", "fd00:10:244:1::/64"}},
	}},
	{"nomasquerade", "cni0", "podnet.1", []contract.Peer{
		{Name: "node-b", IP: "192.0.2.12", PodCIDRs: []string{"10.244.1.0/24", "fd00:10:244:1::/64"}},
	}},
}

func TestGolden(t *testing.T) {
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			topology, err := os.ReadFile(filepath.Join("testdata", c.name+".yaml"))
			if err != nil {
				t.Fatal(err)
			}
			n := lab.New(t).Node("node-a")
			n.Write(string(topology))
			n.Start()
			n.AwaitInForce()

			// The kernel against the formulas of state/REFERENCE.md.
			if err := n.CheckEntries(c.vxlan, contract.Lines("lab", c.vxlan, c.peers)); err != nil {
				t.Error(err)
			}
			for name, mac := range map[string]string{
				c.bridge: contract.BridgeMAC("lab", "node-a"), c.vxlan: contract.VTEPMAC("lab", "node-a"),
			} {
				if link := n.Must("ip", "link", "show", "dev", name); !strings.Contains(link, "link/ether "+mac) {
					t.Errorf("%s has not the MAC %s:\n%s", name, mac, link)
				}
			}

			// The kernel against the golden file.
			got := holds(t, n, c.bridge, c.vxlan)
			golden := filepath.Join("testdata", c.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if err := lab.SameState(string(want), got); err != nil {
				t.Error(err)
			}
		})
	}
}

// holds is what podnet put into the kernel, in the words of the tools, less what differs from one
// kernel or iproute2 to another.
func holds(t *testing.T, n *lab.Node, bridge, vxlan string) string {
	t.Helper()
	var b strings.Builder
	for _, q := range []struct {
		query string
		keep  []string
	}{
		{"ip -d -j link show group 7200", []string{"ifname", "address", "group", "mtu", "flags", "inet6_addr_gen_mode", "link",
			"linkinfo", "info_kind", "info_data", "id", "port", "local", "local6", "learning", "group6"}},
		{"ip -j addr show group 7200", []string{"ifname", "addr_info", "local", "prefixlen", "scope", "nodad", "label"}},
		{"ip -d -N -j neigh show nud permanent", []string{"dst", "lladdr", "dev", "state"}},
		{"bridge -j fdb show", []string{"mac", "dst", "ifname", "state", "flags"}},
		{"ip -d -N -j -4 route show proto 72", []string{"dst", "gateway", "dev", "flags", "metric", "protocol", "table", "type"}},
		{"ip -d -N -j -6 route show proto 72", []string{"dst", "gateway", "prefsrc", "dev", "flags", "metric", "protocol", "table", "type"}},
	} {
		fmt.Fprintf(&b, "# %s\n", q.query)
		for _, o := range n.Objects(q.query) {
			if _, fdb := o["mac"]; fdb && o["dst"] == nil || foreign(o) {
				continue // not a tunnel's entry, or not podnet's
			}
			line, err := json.Marshal(keep(o, q.keep))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%s\n", line)
		}
	}
	fmt.Fprintf(&b, "# iptables-save\n%s# ip6tables-save\n%s# sysctl\n",
		lab.WithoutForeign(n.Firewall("iptables-save")), lab.WithoutForeign(n.Firewall("ip6tables-save")))
	for _, path := range []string{
		"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv6/conf/eth0/accept_ra",
		"net/ipv4/conf/" + bridge + "/forwarding", "net/ipv4/conf/" + vxlan + "/forwarding",
		"net/ipv6/conf/" + bridge + "/accept_ra", "net/ipv6/conf/" + vxlan + "/accept_ra",
		"net/ipv6/conf/" + bridge + "/accept_dad", "net/ipv6/conf/" + bridge + "/disable_ipv6",
		"net/ipv6/conf/" + vxlan + "/addr_gen_mode", "net/ipv6/conf/" + vxlan + "/disable_ipv6",
	} {
		value, err := n.Sysctl(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s = %s\n", path, value)
	}
	conflist, err := n.ReadFile(lab.ConflistPath)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "# %s\n%s", lab.ConflistPath, strings.ReplaceAll(conflist, n.Root, "ROOT"))
	return b.String()
}

// foreign says that an object is on one of the lab's links of other owners.
func foreign(o map[string]any) bool {
	for _, field := range []string{"dev", "ifname"} {
		if name, ok := o[field].(string); ok && strings.HasPrefix(name, "other") {
			return true
		}
	}
	return false
}

// keep drops every field but these, at any depth, and of a link's flags all but UP.
func keep(v any, fields []string) any {
	switch v := v.(type) {
	case map[string]any:
		kept := map[string]any{}
		for k, inner := range v {
			if slices.Contains(fields, k) {
				kept[k] = keep(inner, fields)
			}
		}
		return kept
	case []any:
		kept := []any{}
		for _, inner := range v {
			if f, ok := inner.(string); ok && slices.Contains([]string{"NO-CARRIER", "LOWER_UP", "BROADCAST", "MULTICAST", "linkdown"}, f) {
				continue
			}
			kept = append(kept, keep(inner, fields))
		}
		return kept
	}
	return v
}
