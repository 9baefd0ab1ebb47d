package lab

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Every node of a lab has objects of other owners on it, as close to podnet's as they can be, from
// its beginning; when the test ends they have to be as they were. ForeignGroup marks their links,
// so that a look at podnet's can do without.
const (
	ForeignGroup    = "77"
	foreignProtocol = "73"
	foreignChain    = "OTHERS"
	foreignPref     = "9900"
)

// foreignIP and foreignIP6 are lines for ip -batch, foreignBridge for bridge -batch.
var (
	foreignIP = []string{
		"link add other0 group " + ForeignGroup + " type bridge",
		"link add other1 group " + ForeignGroup + " type veth peer name other2 group " + ForeignGroup,
		"link add other3 group " + ForeignGroup + " type vxlan id 900 dstport 4800 nolearning",
		"link set other0 addrgenmode none", "link set other1 addrgenmode none",
		"link set other2 addrgenmode none", "link set other3 addrgenmode none",
		"link set other1 master other0",
		"link set other0 up", "link set other1 up", "link set other2 up", "link set other3 up",
		"addr add 100.99.0.1/24 dev other0",
		"addr add 2001:db8:99::1/64 dev other0 nodad",
		"neigh add 100.99.0.7 lladdr 02:00:00:00:99:07 dev other0 nud permanent",
		"neigh add 2001:db8:99::7 lladdr 02:00:00:00:99:07 dev other0 nud permanent",
		"neigh add 100.99.9.0 lladdr 02:00:00:00:99:09 dev other3 nud permanent",
		"route add 100.99.1.0/24 via 192.0.2.1 proto " + foreignProtocol,
		"route add 100.99.1.0/24 via 192.0.2.1 proto " + foreignProtocol + " metric 500",
		"route add 100.99.2.0/24 dev other0 table 99 proto " + foreignProtocol,
		"route add blackhole 100.99.3.0/24 proto " + foreignProtocol,
		"rule add from 100.99.0.0/24 lookup 99 pref " + foreignPref,
	}
	foreignIP6 = []string{
		"route add 2001:db8:9901::/64 via 2001:db8::1 proto " + foreignProtocol,
		"route add 2001:db8:9902::/64 dev other0 table 99 proto " + foreignProtocol,
		"rule add from 2001:db8:99::/64 lookup 99 pref " + foreignPref,
	}
	foreignBridge = []string{
		"fdb add 02:00:00:00:99:08 dev other1 master static",
		"fdb add 02:00:00:00:99:09 dev other3 dst 192.0.2.222",
	}
)

// foreignRules are fed to iptables-restore and ip6tables-restore.
func foreignRules(source string) string {
	var b strings.Builder
	for _, hooked := range [][2]string{{"filter", "FORWARD"}, {"nat", "POSTROUTING"}} {
		fmt.Fprintf(&b, "*%s\n:%s - [0:0]\n-A %s -s %s -j %s\n-A %s -d %s -j RETURN\nCOMMIT\n",
			hooked[0], foreignChain, hooked[1], source, foreignChain, foreignChain, source)
	}
	return b.String()
}

const foreignTable = `table inet others {
	set known { type ipv4_addr; elements = { 100.99.0.7, 100.99.0.8 }; }
	chain watched { type filter hook forward priority 10; policy accept; ip saddr @known counter drop; }
}
`

// foreignFiles are others' networks beside podnet's: a conflist that sorts behind, a configuration,
// a lease.
var foreignFiles = [][2]string{
	{"/etc/cni/net.d/90-other.conflist",
		`{"cniVersion":"1.0.0","name":"other","plugins":[{"type":"bridge","bridge":"other0"}]}`},
	{"/etc/cni/net.d/91-other.conf", `{"cniVersion":"1.0.0","name":"another","type":"loopback"}`},
	{"/var/lib/cni/networks/other/100.99.0.7", "other\r\neth0"},
}

// furnish puts the foreign objects on a node.
func (n *Node) furnish() {
	n.lab.Helper()
	n.lab.must(n.Batch("ip", foreignIP...))
	n.lab.must(n.Batch("ip -6", foreignIP6...))
	n.lab.must(n.Batch("bridge", foreignBridge...))
	if !n.lab.OwnRules {
		n.feed(foreignRules("100.99.0.0/24"), "iptables-restore", "--noflush")
		n.feed(foreignRules("2001:db8:99::/64"), "ip6tables-restore", "--noflush")
		n.feed(foreignTable, "nft", "-f", "-")
	}
	if !n.lab.OwnConflists {
		for _, file := range foreignFiles {
			n.WriteFile(file[0], file[1])
		}
	}
}

// feed runs a command with an input.
func (n *Node) feed(input string, args ...string) {
	n.lab.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin = strings.NewReader(input)
	out, err := n.Run(n.lab.Context(), cmd)
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("%s: %s%s", strings.Join(args, " "), out.Stderr, out.Stdout)
	}
	n.lab.must(err)
}

// foreignQueries ask for the foreign objects of the kernel, but for the firewall's.
var foreignQueries = []query{
	{"ip -d -j", []string{
		"link show group " + ForeignGroup, "addr show group " + ForeignGroup,
		"neigh show nud permanent dev other0", "neigh show nud permanent dev other3",
		"route show table all proto " + foreignProtocol, "rule show pref " + foreignPref,
	}},
	{"ip -6 -d -j", []string{"route show table all proto " + foreignProtocol, "rule show pref " + foreignPref}},
	{"bridge -j", []string{"fdb show br other0"}}, // whose filter would hold for the lines behind it as well
	{"bridge -j", []string{"fdb show dev other3"}},
}

// Foreign is the foreign objects as the kernel and the files hold them now.
func (n *Node) Foreign() string {
	n.lab.Helper()
	var b strings.Builder
	for _, q := range foreignQueries {
		fmt.Fprintf(&b, "# %s\n", q.tool)
		objects, err := n.ask(q)
		n.lab.must(err)
		for _, o := range objects {
			if !learned(o) {
				strip(o)
				fmt.Fprintln(&b, text(o))
			}
		}
	}
	if !n.lab.OwnRules {
		b.WriteString(n.foreignRules())
	}
	if !n.lab.OwnConflists {
		b.WriteString(n.foreignFiles())
	}
	return b.String()
}

func (n *Node) foreignRules() string {
	n.lab.Helper()
	var b strings.Builder
	for _, tool := range []string{"iptables-save", "ip6tables-save"} {
		fmt.Fprintf(&b, "# %s\n", tool)
		for _, line := range strings.Split(n.Firewall(tool), "\n") {
			if isForeignRule(line) {
				fmt.Fprintln(&b, line)
			}
		}
	}
	return b.String() + "# nft\n" + n.Sh("nft -s list table inet others")
}

func (n *Node) foreignFiles() string {
	n.lab.Helper()
	var b strings.Builder
	for _, file := range foreignFiles {
		content, err := n.ReadFile(file[0])
		n.lab.must(err)
		fmt.Fprintf(&b, "# %s\n%q\n", file[0], content)
	}
	return b.String()
}

func isForeignRule(line string) bool {
	return slices.Contains(strings.Fields(line), foreignChain) || line == ":"+foreignChain+" -"
}

// WithoutForeign is a ruleset of Firewall without the foreign objects, for a comparison with what
// podnet alone makes.
func WithoutForeign(ruleset string) string {
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(ruleset), "\n"), isForeignRule)
	return filledTables(lines)
}

// guardForeign furnishes the node, and has the test fail if a foreign object is not as it was when
// the test ends.
func (n *Node) guardForeign() {
	n.lab.Helper()
	n.furnish()
	before := n.Foreign()
	n.lab.Cleanup(func() {
		if n.lab.Failed() {
			return // a test that ended early says more
		}
		if err := SameState(before, n.Foreign()); err != nil {
			n.lab.Fatalf("%s: foreign objects changed:\n%v", n.Host, err)
		}
	})
}
