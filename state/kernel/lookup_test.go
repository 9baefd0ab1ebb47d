package kernel_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/lab"
	"github.com/podnet/podnet/test/statetest"

	"github.com/podnet/podnet/state"
)

// misrouted is what a converged dual-stack node says of its policy rules after some commands.
func misrouted(t *testing.T, commands ...string) (*kernel.Node, *state.Set) {
	t.Helper()
	node, paths := statetest.Host(t)
	topology := statetest.Load(t, "../../examples/dual-stack.yaml")
	facts, err := node.Facts(&topology.Nodes[0])
	if err != nil {
		t.Fatal(err)
	}
	want := statetest.Desired(t, topology, topology.Nodes[0].Name, facts, paths)
	statetest.Converge(t, node, want)
	for _, c := range commands {
		lab.Sh(t, c)
	}
	return node, want
}

func conflictsOf(t *testing.T, node *kernel.Node, want *state.Set) []state.Conflict {
	t.Helper()
	live, err := node.Live(want)
	if err != nil {
		t.Fatal(err)
	}
	return live.Conflicts
}

// leaves is the device that `ip route get` names.
func leaves(t *testing.T, query string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", "ip route get "+query).CombinedOutput()
	_, device, _ := strings.Cut(string(out), " dev ")
	device, _, _ = strings.Cut(device, " ")
	if err != nil {
		return string(out)
	}
	return device
}

// A rule that takes podnet's packets is named. The remedy, pasted, gives them their way back, and
// the rule keeps what else it takes.
func TestPolicyRules(t *testing.T) {
	const vpn = "ip route add default via 192.0.2.254 dev eth0 table 52"
	for _, c := range []struct {
		name, object string
		counts       bool
		remedy       string
		commands     []string
	}{
		{"no rule for main", "rule 32766", true, "ip rule add pref 32766 lookup main", []string{"ip rule del pref 32766"}},
		{"no rule for main, and others", "rule 32766", true, "ip rule add pref 32766 lookup main",
			[]string{vpn, "ip rule add pref 5270 fwmark 7 lookup main", "ip rule del pref 32766"}},
		{"no IPv6 rule for main", "rule 32766", true, "ip -6 rule add pref 32766 lookup main",
			[]string{"ip -6 rule add pref 9 fwmark 7 lookup 52", "ip -6 rule del pref 32766"}},
		{"no rule for local", "rule 0", true, "ip rule add pref 0 lookup local", []string{"ip rule add pref 9 fwmark 7 lookup 52", "ip rule del pref 0"}},
		{"a VPN for everything", "rule 5270", false,
			"ip rule add pref 5269 to 10.244.0.0/16 lookup main && ip rule add pref 5269 from 192.0.2.11 to 192.0.2.0/24 lookup main",
			[]string{vpn, "ip rule add pref 5270 not fwmark 0x80000/0xff0000 lookup 52"}},
		{"a VPN for pods' ranges", "rule 5270", false, "ip rule add pref 5269 to 10.244.0.0/16 lookup main",
			[]string{"ip route add 10.0.0.0/8 via 192.0.2.254 dev eth0 table 52", "ip rule add pref 5270 lookup 52"}},
		{"a VPN for a part of a peer's range", "rule 5270", false, "ip rule add pref 5269 to 10.244.0.0/16 lookup main",
			[]string{"ip route add 10.244.1.128/25 via 192.0.2.254 dev eth0 table 52", "ip rule add pref 5270 lookup 52"}},
		{"an agent for what the node sends", "rule 30200", false, "ip rule add pref 30199 from 192.0.2.11 to 192.0.2.0/24 lookup main",
			[]string{"ip route add default via 192.0.2.254 dev eth0 table 30200", "ip rule add pref 30200 from 192.0.2.11 lookup 30200"}},
		{"an agent for the tunnel's port", "rule 100", false, "ip rule add pref 99 from 192.0.2.11 to 192.0.2.0/24 lookup main",
			[]string{"ip route add unreachable default table 52", "ip rule add pref 100 ipproto udp dport 8472 lookup 52"}},
		{"prohibit", "rule 100", false, "ip rule add pref 99 to 10.244.0.0/16 lookup main", []string{"ip rule add pref 100 to 10.244.1.0/24 prohibit"}},
		{"blackhole for one pod", "rule 100", false, "ip rule add pref 99 to 10.244.0.0/16 lookup main", []string{"ip rule add pref 100 from 10.244.0.77 blackhole"}},
		{"what pods send", "rule 100", false, "ip rule add pref 99 to 10.244.0.0/16 lookup main", []string{vpn, "ip rule add pref 100 iif cni0 lookup 52"}},
		{"what the tunnel brings", "rule 100", false, "ip rule add pref 99 to 10.244.0.0/16 lookup main", []string{vpn, "ip rule add pref 100 iif podnet.1 lookup 52"}},
		{"IPv6", "rule 5270", false, "ip -6 rule add pref 5269 to fd00:10:244::/48 lookup main",
			[]string{"ip -6 route add default via 2001:db8::fe dev eth0 table 52", "ip -6 rule add pref 5270 lookup 52"}},
		{"no priority is left", "rule 0", false,
			"ip rule add pref 2 from all lookup 52 && ip rule add pref 1 to 10.244.0.0/16 lookup main && ip rule add pref 1 from 192.0.2.11 to 192.0.2.0/24 lookup main" +
				" && ip rule del pref 0 from all lookup 52", []string{vpn, "ip rule add pref 0 lookup 52"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, want := misrouted(t, c.commands...)
			got := conflictsOf(t, node, want)
			if len(got) != 1 || got[0].Object() != c.object || got[0].Counts != c.counts || got[0].Blocks {
				t.Fatalf("conflicts: %+v", got)
			}
			t.Log(got[0].Owner)
			if got[0].Remedy != c.remedy {
				t.Errorf("remedy %s", got[0].Remedy)
			}
			elsewhere := leaves(t, "203.0.113.1 from 192.0.2.11")
			if out, err := exec.Command("sh", "-ec", got[0].Remedy).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if left := conflictsOf(t, node, want); len(left) > 0 {
				t.Errorf("after the remedy: %+v", left)
			}
			for query, device := range map[string]string{
				"10.244.1.129": "podnet.1", "10.244.1.2 from 10.244.0.77 iif cni0": "podnet.1", "10.244.0.77 from 10.244.1.2 iif podnet.1": "cni0",
				"192.0.2.12 from 192.0.2.11 ipproto udp dport 8472": "eth0", "fd00:10:244:1::9": "podnet.1",
			} {
				if got := leaves(t, query); got != device {
					t.Errorf("%s leaves by %s, want %s", query, got, device)
				}
			}
			if now := leaves(t, "203.0.113.1 from 192.0.2.11"); !c.counts && now != elsewhere {
				t.Errorf("what was none of podnet's went by %q, and goes by %q", elsewhere, now)
			}
		})
	}
}

// Rules that take none of podnet's packets are no conflict.
func TestHarmlessPolicyRules(t *testing.T) {
	const vpn = "ip route add default via 192.0.2.254 dev eth0 table 52"
	for name, commands := range map[string][]string{
		"wg-quick": {vpn, "ip rule add pref 32764 not fwmark 51820 lookup 52", "ip rule add pref 32763 lookup main suppress_prefixlength 0",
			"ip -6 rule add pref 32763 lookup main suppress_prefixlength 0"},
		"exceptions":                {vpn, "ip rule add pref 100 lookup 52", "ip rule add pref 99 to 10.244.0.0/16 lookup main", "ip rule add pref 98 to 192.0.2.0/24 lookup main"},
		"throw":                     {vpn, "ip route add throw 10.244.0.0/16 table 52", "ip route add throw 192.0.2.0/24 table 52", "ip rule add pref 100 lookup 52"},
		"a mark":                    {vpn, "ip rule add pref 100 fwmark 0x1 lookup 52"},
		"a user":                    {vpn, "ip rule add pref 100 uidrange 1000-1000 lookup 52"},
		"a link":                    {vpn, "ip rule add pref 100 iif eth0 lookup 52"},
		"a port":                    {vpn, "ip rule add pref 100 ipproto tcp dport 80 lookup 52"},
		"an address":                {vpn, "ip rule add pref 100 from 192.0.2.99 lookup 52"},
		"elsewhere":                 {"ip route add 100.64.0.0/10 via 192.0.2.254 dev eth0 table 52", "ip rule add pref 100 lookup 52"},
		"empty":                     {"ip rule add pref 100 lookup 52"},
		"behind":                    {"ip route add unreachable default table 52", "ip rule add pref 32768 lookup 52"},
		"local moved, as for VRFs":  {"ip rule add pref 1000 l3mdev protocol kernel", "ip rule add pref 32765 lookup local", "ip rule del pref 0"},
		"IPv6 without custom rules": {"ip -6 rule del pref 32766"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a user" {
				lab.NeedUsers(t)
			}
			node, want := misrouted(t, commands...)
			if got := conflictsOf(t, node, want); len(got) > 0 {
				t.Errorf("conflicts: %+v", got)
			}
		})
	}
}

// A table with very many routes is not read on every look.
func TestLargeTables(t *testing.T) {
	node, want := misrouted(t, "ip rule add pref 100 lookup 52")
	var batch strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&batch, "route add 100.%d.%d.0/24 via 192.0.2.254 dev eth0 table 52\n", i/256, i%256)
	}
	batch.WriteString("route add 10.244.1.128/25 via 192.0.2.254 dev eth0 table 52\n")
	add := exec.Command("ip", "-batch", "-")
	add.Stdin = strings.NewReader(batch.String())
	if out, err := add.CombinedOutput(); err != nil {
		t.Fatalf("%v: %.300s", err, out)
	}
	if got := conflictsOf(t, node, want); len(got) != 1 {
		t.Fatalf("conflicts: %+v", got)
	}
	lab.Sh(t, "ip route flush table 52")
	if got := conflictsOf(t, node, want); len(got) != 1 {
		t.Errorf("the table was read again at once: %+v", got)
	}
}
