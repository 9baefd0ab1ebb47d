package firewall

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
	"github.com/podnet/podnet/test/lab"
)

// trafficOfPods is that of a node with peers, pods of two families and podnet's chains, on the
// underlay device eth0.
func trafficOfPods() Traffic {
	want := wanted("192.0.2.11")
	for _, dst := range []string{"10.244.1.0/24", "10.244.2.0/24", "fd00:0:0:1::/64"} {
		p := netip.MustParsePrefix(dst)
		want.Routes.Add(state.Route{Dst: p, Device: "podnet.1", Metric: state.PeerMetric(p)}, 0)
	}
	for _, family := range []uint8{4, 6} {
		want.Chains.Add(state.Chain{Family: family, Table: "nat", Chain: "PODNET-MASQUERADE"}, state.OwnNode)
		want.Chains.Add(state.Chain{Family: family, Table: "filter", Chain: "PODNET-FORWARD"}, state.OwnNode)
	}
	t := TrafficOf(want)
	t.Underlay = "eth0"
	return t
}

// ours are podnet's chains in iptables-save's words.
func ours(table string, family uint8) string {
	own, cluster := "10.244.0.0/24", "10.244.0.0/16"
	if family == 6 {
		own, cluster = "fd00::/64", "fd00::/48"
	}
	if table == "nat" {
		return fmt.Sprintf("-A PODNET-MASQUERADE ! -s %s -j RETURN\n-A PODNET-MASQUERADE -d %s -j RETURN\n-A PODNET-MASQUERADE -j MASQUERADE --random-fully\n", own, cluster)
	}
	return fmt.Sprintf("-A PODNET-FORWARD -s %s -i cni0 -j ACCEPT\n-A PODNET-FORWARD -d %s -o cni0 -j ACCEPT\n", own, own)
}

// asked is what is in podnet's way by a table with these chains and rules, in which JUMP stands for
// the jump to podnet's.
func asked(family uint8, table, policy, rules string) []state.Conflict {
	hook, chain := "FORWARD", "PODNET-FORWARD"
	if table == "nat" {
		hook, chain = "POSTROUTING", "PODNET-MASQUERADE"
	}
	var heads, lines strings.Builder
	seen := map[string]bool{}
	for _, line := range strings.Split(strings.ReplaceAll(rules, "JUMP", hook+" -j "+chain), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if name, _, _ := strings.Cut(line, " "); name != hook && !seen[name] {
			seen[name] = true
			fmt.Fprintf(&heads, ":%s - [0:0]\n", name)
		}
		fmt.Fprintf(&lines, "-A %s\n", line)
	}
	save := fmt.Sprintf("*%s\n:%s %s [0:0]\n:%s - [0:0]\n%s%s%sCOMMIT\n", table, hook, policy, chain, &heads, &lines, ours(table, family))
	return inTheWay(parseChains(family, save), verdict.Parse(save, command(family, "iptables")), trafficOfPods())
}

// What is about podnet's traffic is in the way, ahead of the jump, and what rewrites addresses
// between pods wherever it is.
func TestRulesInTheWay(t *testing.T) {
	const move = "iptables -t filter -D FORWARD -j PODNET-FORWARD && iptables -t filter -I FORWARD -j PODNET-FORWARD"
	const rewrites = "rule 1 of POSTROUTING (not podnet's) rewrites the source of what pods send to other nodes"
	const world = "its jump is behind rule 1 of POSTROUTING (not podnet's), which lets what pods send out of the cluster leave with pods' addresses"
	const first, others, here = "its jump is behind rule 1 of FORWARD (not podnet's)", ", which drops what pods send to other nodes",
		", which drops what other nodes' pods send to these"
	for _, c := range []struct {
		family       uint8
		table, rules string
		owner        string // "": none is in the way
		remedy       string // "": the first rule goes
	}{
		{4, "filter", "-i cni0 -j DROP", first + others, ""},
		{4, "filter", "-i cni+ -j DROP", first + others, ""},
		{4, "filter", "! -i eth0 -j DROP", first + others, ""},
		{4, "filter", "-o cni0 -m comment --comment \"no \\\"-j ACCEPT\\\"\" -j DROP", first + here, ""},
		{4, "filter", "-i podnet.1 -j REJECT --reject-with icmp-port-unreachable", first + here, ""},
		{4, "filter", "-d 10.244.1.0/24 -j REJECT", first + others, ""},
		{4, "filter", "-d 10.244.2.0/24 -j REJECT", first + others, ""},
		{4, "filter", "-d 10.244.2.128/25 -p tcp -j REJECT", first + others, ""},
		{4, "filter", "-s 10.244.0.7/32 -j DROP", first + others, ""},
		{4, "filter", "-s 10.244.2.9/32 -j DROP", first + here, ""},
		{4, "filter", "-s 10.0.0.0/8 -j DROP", first + others, ""},
		{4, "filter", "-p udp -j DROP", first + others, ""},
		{4, "filter", "-m conntrack --ctstate NEW -j DROP", first + others, ""},
		{4, "filter", "-i cni0 -o eth0 -j DROP", first + ", which drops what pods send out of the cluster", ""},
		{4, "filter", "-i eth0 -j DROP", first + ", which drops the answers that pods get from outside of the cluster", ""},
		{6, "filter", "-i cni0 -j DROP", first + others, ""},
		{6, "filter", "-d fd00:0:0:1::/64 -j DROP", first + others, ""},

		{4, "filter", "-j REJECT --reject-with icmp-host-prohibited", first, ""},
		{4, "filter", "-j ACCEPT", first, ""},
		{4, "filter", "-m comment --comment \"all of it\" -j DROP", first, ""},
		{4, "filter", "-g UC\nUC -p tcp -m tcp --dport 25 -j DROP", first, ""},
		{4, "filter", "-j UC\nUC -j DROP", "its jump is behind rule 1 of UC (not podnet's)" + others, move},
		{4, "filter", "-j UC\nUC -i eth1 -j ACCEPT\nUC -j UC2\nUC2 -j DROP", "its jump is behind rule 1 of UC2 (not podnet's)" + others, move},
		{4, "filter", "-i cni0 -g UC\nUC -j DROP", "its jump is behind rule 1 of UC (not podnet's)" + others, move},
		{4, "filter", "-j DOCKER-USER\nDOCKER-USER -i eth0 ! -s 198.51.100.1/32 -j DROP",
			"its jump is behind rule 1 of DOCKER-USER (Docker's), which drops the answers that pods get from outside of the cluster", move},

		{4, "filter", "-i cni0 -j ACCEPT", "", ""},
		{4, "filter", "-i cni0 -j RETURN", "", ""},
		{4, "filter", "-i cni0 -g UC\nUC -i eth1 -j DROP", "", ""},
		{4, "filter", "-i cni0 -j LOG --log-prefix \"-j DROP\"", "", ""},
		{4, "filter", "-i cni0 -j ACCEPT\nFORWARD -o cni0 -j ACCEPT\nFORWARD -i cni0 -j DROP", "", ""},
		{4, "filter", "-i cni0 -m set --match-set known src -j DROP", "", ""},
		{4, "filter", "-i cni0 -p tcp -m tcp --dport 25 -j DROP", "", ""},
		{4, "filter", "-i cni0 -d 169.254.169.254/32 -j DROP", "", ""},
		{4, "filter", "-m socket -j DROP", "", ""},
		{4, "filter", "-i cni0 -m limit --limit 1/sec -j DROP", "", ""},
		{4, "filter", "-m conntrack --ctstate INVALID -j DROP", "", ""},
		{4, "filter", "-d 10.245.0.0/16 -j DROP", "", ""},
		{4, "filter", "-i lo -j DROP", "", ""},
		{4, "filter", "-i eth1 -j DROP", "", ""},

		{4, "nat", "-s 10.244.0.0/24 -j MASQUERADE", rewrites, ""},
		{4, "nat", "-s 10.244.0.0/16 -j MASQUERADE", rewrites, ""},
		{4, "nat", "-s 10.244.0.5/32 -j UC\nUC ! -d 224.0.0.0/4 -j MASQUERADE", "rule 1 of UC (not podnet's) rewrites the source of what pods send to other nodes",
			"iptables -t nat -D UC ! -d 224.0.0.0/4 -j MASQUERADE"},
		{4, "nat", "-o podnet.1 -j SNAT --to-source 192.0.2.11", rewrites, ""},
		{4, "nat", "-o cni0 -j MASQUERADE", "rule 1 of POSTROUTING (not podnet's) rewrites the source of what other nodes' pods send to these", ""},
		{6, "nat", "-s fd00::/64 -j MASQUERADE", rewrites, ""},
		{4, "nat", "-m mark --mark 0x1 -j MASQUERADE\nPOSTROUTING -s 10.244.0.0/16 -j MASQUERADE", "rule 2 of POSTROUTING (not podnet's) rewrites the source of what pods send to other nodes", "iptables -t nat -D POSTROUTING -s 10.244.0.0/16 -j MASQUERADE"},
		{4, "nat", "-s 10.244.0.0/24 -j ACCEPT", world, ""},
		{4, "nat", "-s 10.244.0.0/16 ! -d 10.244.0.0/16 -j ACCEPT", world, ""},
		{4, "nat", "-j MASQUERADE", "its jump is behind rule 1 of POSTROUTING (not podnet's)", ""},
		{4, "nat", "-s 10.244.0.0/16 -d 10.244.0.0/16 -j ACCEPT", "", ""},
		{4, "nat", "-s 10.244.0.0/16 -d 192.168.0.0/16 -j ACCEPT", "", ""},
		{4, "nat", "-s 10.244.0.0/16 ! -d 10.244.0.0/16 -j MASQUERADE", "", ""},
		{4, "nat", "-s 10.244.0.0/16 -d 10.244.0.0/16 -j RETURN\nPOSTROUTING -s 10.244.0.0/16 -j MASQUERADE", "", ""},
		{4, "nat", "-m set --match-set some src -j ACCEPT\nPOSTROUTING -s 10.244.0.0/16 -j MASQUERADE", "", ""},
		{4, "nat", "! -s 10.244.0.0/16 -d 10.244.0.0/16 -j MASQUERADE", "", ""},
	} {
		hook := map[string]string{"filter": "FORWARD ", "nat": "POSTROUTING "}[c.table]
		rules := hook + c.rules
		if c.remedy == "" {
			rule, _, _ := strings.Cut(rules, "\n")
			c.remedy = fmt.Sprintf("%s -t %s -D %s", command(c.family, "iptables"), c.table, rule)
		}
		found := asked(c.family, c.table, "ACCEPT", rules+"\nJUMP")
		if len(found) > 0 != (c.owner != "") {
			t.Errorf("%s: %+v", c.rules, found)
		} else if len(found) > 0 {
			if f := found[0]; f.Owner != c.owner || words(t, f.Remedy) != words(t, c.remedy) || f.Blocks || f.Key.Num != uint32(c.family) {
				t.Errorf("%s: %+v", c.rules, f)
			}
		}
		anywhere := strings.Contains(c.owner, "rewrites") || c.rules == "-j MASQUERADE"
		if found := asked(c.family, c.table, "ACCEPT", "JUMP\n"+rules); len(found) > 0 != anywhere {
			t.Errorf("%s, behind the jump: %+v", c.rules, found)
		}
	}
}

// words are what a shell makes of a command, a line each.
func words(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `printf '%s\n' `+strings.ReplaceAll(command, "&&", "'&&'")).Output()
	if err != nil {
		t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

// A rule that leaves the built-in chain leaves the packet to the policy.
func TestReturnToThePolicy(t *testing.T) {
	for rule, remedy := range map[string]string{
		"-i cni0 -j RETURN":               "iptables -t filter -D FORWARD -i cni0 -j RETURN",
		"-i cni0 -g UC":                   "iptables -t filter -D FORWARD -i cni0 -g UC",
		"-i eth1 -j RETURN":               "",
		"-i cni0 -m mark --mark 1 -g UC ": "",
	} {
		found := asked(4, "filter", "DROP", "FORWARD "+rule+"\nJUMP\nUC -i eth1 -j ACCEPT")
		if len(found) > 0 != (remedy != "") || len(found) > 0 && found[0].Remedy != remedy {
			t.Errorf("%s: %+v", rule, found)
		}
	}
}

// Whatever there is to report stays readable, and a chain that is not wanted, or has no jump yet,
// is nobody's trouble.
func TestFewAreReported(t *testing.T) {
	var many strings.Builder
	for i := range 100 {
		fmt.Fprintf(&many, "FORWARD -s 10.244.0.%d/32 -j DROP\n", i+3)
	}
	if found := asked(4, "filter", "ACCEPT", many.String()+"JUMP"); len(found) != mostReported {
		t.Errorf("%d conflicts: %+v", len(found), found)
	}
	if found := asked(4, "filter", "ACCEPT", "FORWARD -i cni0 -j DROP"); len(found) > 0 {
		t.Errorf("without a jump: %+v", found)
	}
	if found := asked(4, "filter", "ACCEPT", "FORWARD -j PODNET-OLD\nFORWARD -i eth0 -j DROP"); len(found) > 0 {
		t.Errorf("an old chain: %+v", found)
	}
}

// Both kinds of iptables say the same of a rule, and podnet's own jump ends it.
func TestBothKindsOfIPTables(t *testing.T) {
	apart(t)
	for _, kind := range []string{"nft", "legacy"} {
		program := "iptables-" + kind
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
		for _, rule := range []string{
			"-N PODNET-FORWARD", "-N UC", "-A FORWARD -i eth1 -j DROP", "-A FORWARD -d 10.244.2.0/24 -p tcp -j UC", "-A FORWARD -j PODNET-FORWARD",
			"-A UC -m conntrack --ctstate INVALID -j DROP", "-A UC ! -s 192.0.2.0/24 -j REJECT",
		} {
			lab.Sh(t, program+" "+rule)
		}
		save, err := runProgram("", program+"-save")
		if err != nil {
			t.Fatal(err)
		}
		found := inTheWay(parseChains(4, save), verdict.Parse(save, "iptables"), trafficOfPods())
		if len(found) != 1 || found[0].Owner != "its jump is behind rule 2 of UC (not podnet's), which drops what pods send to other nodes" {
			t.Errorf("%s: %+v", kind, found)
		}
		lab.Sh(t, program+" -F")
		lab.Sh(t, program+" -X")
	}
}

// Rules are judged when they, or what is wanted of them, are others, and only then.
func TestRulesAreJudgedOnce(t *testing.T) {
	host := apart(t)
	if err := host.hasIPTables(4); err != nil {
		t.Skip(err)
	}
	for _, line := range []string{"iptables -N PODNET-FORWARD", "iptables -A FORWARD -j PODNET-FORWARD", "iptables -I FORWARD -i cni0 -j DROP"} {
		lab.Sh(t, line)
	}
	traffic := trafficOfPods()
	look := func() string {
		t.Helper()
		live := &state.Live{}
		if err := host.List(traffic, live); err != nil {
			t.Fatal(err)
		}
		var remedies []string
		for _, c := range live.Conflicts {
			remedies = append(remedies, c.Remedy)
		}
		return strings.Join(remedies, "; ")
	}
	if got := look(); got != "iptables -t filter -D FORWARD -i cni0 -j DROP" {
		t.Fatalf("conflicts %s", got)
	}
	c := host.rules[4]
	if !c.good {
		t.Skip("iptables is iptables-legacy here, which is read every time")
	}
	c.judged.conflicts = []state.Conflict{{Remedy: "as known"}}
	host.rules[4] = c
	if got := look(); got != "as known" {
		t.Errorf("judged again without need: %s", got)
	}
	traffic = TrafficOf(new(state.Set))
	if got := look(); got != "" {
		t.Errorf("when nothing is wanted: %s", got)
	}
	traffic = trafficOfPods()
	lab.Sh(t, "iptables -D FORWARD -i cni0 -j DROP")
	if got := look(); got != "" {
		t.Errorf("when the rule has gone: %s", got)
	}
}

// Where podnet leaves all destinations alone, a rule that does so too is not in its way.
func TestNothingIsMasqueraded(t *testing.T) {
	for own, ahead := range map[string]int{"-j RETURN": 0, "-j MASQUERADE --random-fully": 1} {
		save := "*nat\n:POSTROUTING ACCEPT [0:0]\n:PODNET-MASQUERADE - [0:0]\n-A POSTROUTING -s 10.244.0.0/16 -j ACCEPT\n" +
			"-A POSTROUTING -j PODNET-MASQUERADE\n-A PODNET-MASQUERADE " + own + "\nCOMMIT\n"
		if found := inTheWay(parseChains(4, save), verdict.Parse(save, "iptables"), trafficOfPods()); len(found) != ahead {
			t.Errorf("%s: %+v", own, found)
		}
	}
}
