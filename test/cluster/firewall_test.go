package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

// withFirewall is the topology with network.firewall.
func withFirewall(t lab.Topology, firewall string) lab.Topology {
	t.Extra = []string{"network: {firewall: " + firewall + "}"}
	return t
}

// iptablesChains are podnet's chains of iptables on a node.
func iptablesChains(n *lab.Node) (lines []string) {
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		for line := range strings.Lines(n.Must(program)) {
			if strings.Contains(line, "PODNET-") {
				lines = append(lines, strings.TrimSpace(line))
			}
		}
	}
	return lines
}

// nftTable is podnet's own table on a node, its parts in alphabetical order, which is not that of
// the kernel; "": there is none.
func nftTable(n *lab.Node) string {
	out := n.Execute("nft", "list", "table", "inet", "podnet")
	if out.Code != 0 {
		return ""
	}
	parts := strings.Split(strings.TrimSuffix(out.Stdout, "\n}\n"), "\n\n")
	head, first, _ := strings.Cut(parts[0], "\n")
	parts[0] = first
	slices.Sort(parts)
	return head + "\n" + strings.Join(parts, "\n\n")
}

// TestSwitchOfTheFirewall changes network.firewall there and back under pods that ping each other
// and send to the outside. Nothing is lost, and nothing of the other packet filter stays.
func TestSwitchOfTheFirewall(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	a, b := l.Nodes[0].Pod("a"), l.Nodes[1].Pod("b")
	n := l.Nodes[0]
	n.Sh("iptables -P FORWARD ACCEPT") // Docker's DROP is another test
	four, six := newFlow(t, a.Namespace, l.Outside(), lab.Gateway4), newFlow(t, a.Namespace, l.Outside(), lab.Gateway6)
	four.arrives(t, n.IP4)
	six.arrives(t, n.IP6)
	floods := []*lab.Flood{a.Flood(b.Addr4()), a.Flood(b.Addr6()), a.Flood(lab.Gateway4)}
	for _, firewall := range []string{"nftables", "iptables", "nftables", "auto"} {
		for _, n := range l.Nodes {
			n.WriteFile(nextPath, withFirewall(topology, firewall).String())
			plan := n.Podnetctl("diff", n.Path(nextPath))
			exits(t, plan, 1, "diff to "+firewall)
			if !strings.Contains(plan.Stdout, "network.firewall") || strings.Contains(plan.Stdout, "partition") {
				t.Errorf("diff to %s:\n%s", firewall, plan.Stdout)
			}
			exits(t, n.Podnetctl("apply", n.Path(nextPath)), 0, "apply "+firewall)
			n.AwaitInForce()
			if native := firewall == "nftables"; native != (len(iptablesChains(n)) == 0) || native != strings.Contains(nftTable(n), "masquerade-pods") {
				t.Errorf("%s with %s: iptables has %q, nftables %q", n.Host, firewall, iptablesChains(n), nftTable(n))
			}
		}
		newFlow(t, a.Namespace, l.Outside(), lab.Gateway4).arrives(t, n.IP4)
		newFlow(t, a.Namespace, l.Outside(), lab.Gateway6).arrives(t, n.IP6)
		four.arrives(t, n.IP4)
		six.arrives(t, n.IP6)
	}
	for i, f := range floods {
		if answered, lost := f.Stop(); len(lost) > 0 {
			t.Errorf("flood %d: %d answered, lost %v", i, answered, lost)
		}
	}
}

// TestOwnTableHeals damages podnet's table of nftables in every way, and podnetd puts it right by
// what the kernel announces.
func TestOwnTableHeals(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Write(withFirewall(topology, "nftables").String())
	n.Start("--resync", "10m")
	n.AwaitInForce()
	healthy := nftTable(n)
	if !strings.Contains(healthy, "ip saddr != 10.244.0.0/24 return") || !strings.Contains(healthy, "masquerade fully-random") {
		t.Fatalf("the table is\n%s", healthy)
	}
	exits(t, n.Podnetctl("status"), 0, "status")
	for _, damage := range []string{
		"nft delete table inet podnet",
		"nft flush table inet podnet",
		"nft flush chain inet podnet masquerade-pods",
		"nft insert rule inet podnet masquerade-pods accept",
		"nft add rule inet podnet masquerade-pods drop",
		"nft delete chain inet podnet masquerade-pods",
		"nft add chain inet podnet stranger",
		"nft add table inet podnet { flags dormant; }",
		"nft delete chain inet podnet masquerade-pods ; add chain inet podnet masquerade-pods { type nat hook postrouting priority 50; }",
	} {
		words := strings.SplitN(damage, " ", 2)
		n.Must(words[0], words[1])
		lab.Eventually(t, lab.Patience, "healed after "+damage, func() error {
			if got := nftTable(n); got != healthy {
				return fmt.Errorf("it is\n%s", got)
			}
			return nil
		})
	}
	exits(t, n.Podnetctl("status"), 0, "status after all that")
	n.Stop()
	exits(t, n.Podnetctl("teardown"), 0, "teardown")
	if left := nftTable(n); left != "" {
		t.Errorf("teardown leaves\n%s", left)
	}
}

// TestSwitchThatWouldCutPodsOff has a FORWARD policy as Docker sets it: what podnet's chain of
// iptables accepts would be dropped under nftables, so that the switch is refused until the host
// forwards it.
func TestSwitchThatWouldCutPodsOff(t *testing.T) {
	l, topology := cluster(t, "node-a")
	n := l.Nodes[0]
	n.Sh("iptables -P FORWARD DROP")
	n.Sh("ip6tables -P FORWARD DROP")
	n.WriteFile(nextPath, withFirewall(topology, "nftables").String())
	for _, verb := range []string{"diff", "apply"} {
		out := n.Podnetctl(verb, n.Path(nextPath))
		exits(t, out, 1, verb)
		if said := out.Stdout + out.Stderr; !strings.Contains(said, "network.firewall changes from auto to nftables") ||
			!strings.Contains(said, "iptables -I FORWARD -i cni0 -j ACCEPT && iptables -I FORWARD -o cni0 -j ACCEPT") {
			t.Errorf("%s:\n%s", verb, said)
		}
	}
	for _, program := range []string{"iptables", "ip6tables"} {
		n.Sh(program + " -I FORWARD -i cni0 -j ACCEPT")
		n.Sh(program + " -I FORWARD -o cni0 -j ACCEPT")
	}
	exits(t, n.Podnetctl("apply", n.Path(nextPath)), 0, "apply after the remedy")
	exits(t, n.Podnetctl("status", "--wait", "10s"), 0, "status after the remedy")
	for _, program := range []string{"iptables", "ip6tables"} {
		n.Sh(program + " -D FORWARD -i cni0 -j ACCEPT")
		n.Sh(program + " -D FORWARD -o cni0 -j ACCEPT")
	}
	status := n.Podnetctl("status", "--wait", "3s")
	exits(t, status, 1, "status when the host stops forwarding")
	if !strings.Contains(status.Stdout, "ip filter FORWARD") || !strings.Contains(status.Stdout, "iptables -I FORWARD -i cni0 -j ACCEPT") {
		t.Errorf("status says\n%s", status.Stdout)
	}
}

// hideIPTables takes the programs of iptables from the machine as the tests see it, until the test
// ends.
func hideIPTables(t *testing.T) {
	t.Helper()
	nothing := filepath.Join(t.TempDir(), "nothing")
	if err := os.WriteFile(nothing, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	programs, err := filepath.Glob("/usr/sbin/xtables-*-multi")
	if err != nil || len(programs) == 0 {
		t.Fatalf("no programs of iptables in /usr/sbin: %v", err)
	}
	for _, p := range programs {
		if err := unix.Mount(nothing, p, "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(p, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWithoutIPTables has two nodes on which there is no program of iptables, from the first apply to
// the teardown: everything works, and nothing is missed.
func TestWithoutIPTables(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	hideIPTables(t)
	for _, n := range l.Nodes {
		exits(t, n.Podnetctl("apply"), 0, "apply")
		n.Start()
		n.AwaitInForce()
		if err := n.CheckPeers(topology); err != nil {
			t.Fatal(err)
		}
		exits(t, n.Podnetctl("status", "--wait", "10s"), 0, "status")
		exits(t, n.Podnetctl("diff"), 0, "diff")
	}
	n := l.Nodes[0]
	a, b := n.Pod("a"), l.Nodes[1].Pod("b")
	for _, addr := range []string{b.Addr4(), b.Addr6()} {
		if err := a.Ping(addr); err != nil {
			t.Error(err)
		}
		exits(t, n.Podnetctl("explain", "--from", "a", "--probe", addr), 0, "explain to "+addr)
	}
	newFlow(t, a.Namespace, l.Outside(), lab.Gateway4).arrives(t, n.IP4)
	newFlow(t, a.Namespace, l.Outside(), lab.Gateway6).arrives(t, n.IP6)
	explained := n.Podnetctl("explain", "--from", "a", lab.Gateway4)
	exits(t, explained, 0, "explain to the outside")
	if !strings.Contains(explained.Stdout, "masquerade") {
		t.Errorf("explain knows of no masquerading:\n%s", explained.Stdout)
	}
	if out := n.Podnetctl("doctor"); strings.Contains(out.Stdout, "iptables") || strings.Contains(out.Stdout, "node-not-ready") {
		t.Errorf("doctor, exit code %d:\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	n.Stop()
	exits(t, n.Podnetctl("teardown", "--force"), 0, "teardown")
	if left := n.Sh("nft list tables"); strings.Contains(left, "podnet") {
		t.Errorf("teardown leaves %s", left)
	}
}
