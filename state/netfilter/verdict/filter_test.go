package verdict

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// pods is a packet between two pods, and udp8472 one of the tunnel.
var (
	pods    = Packet{Src: netip.MustParseAddr("10.244.0.2"), Dst: netip.MustParseAddr("10.244.1.2"), In: "cni0", Out: "podnet.1"}
	udp8472 = Packet{Src: netip.MustParseAddr("192.0.2.12"), Dst: netip.MustParseAddr("192.0.2.11"), In: "eth0", Protocol: "udp", Port: 8472}
)

func save(policy, rules string) string {
	return "*filter\n:INPUT " + policy + " [0:0]\n:FORWARD " + policy + " [0:0]\n:FW - [0:0]\n" + rules + "COMMIT\n"
}

// what is a verdict in a word.
func what(v Verdict) string {
	switch {
	case v.Drop && v.Unsure:
		return "may drop at " + v.Where
	case v.Drop:
		return "drops at " + v.Where
	}
	return "passes"
}

func TestIPTables(t *testing.T) {
	for _, c := range []struct {
		name, hook, policy, rules, want string
		packet                          Packet
	}{
		{"no rules", Forward, "ACCEPT", "", "passes", pods},
		{"a policy", Forward, "DROP", "", "drops at filter FORWARD: its policy drops", pods},
		{"accepted before the policy", Forward, "DROP", "-A FORWARD -i cni0 -j ACCEPT\n", "passes", pods},
		{"by a part of the name", Forward, "DROP", "-A FORWARD -o podnet+ -j ACCEPT\n", "passes", pods},
		{"negated", Forward, "ACCEPT", "-A FORWARD ! -s 10.244.0.0/16 -j DROP\n", "passes", pods},
		{"negated, of others", Forward, "ACCEPT", "-A FORWARD ! -d 10.0.0.0/24 -j DROP\n", "drops at filter FORWARD rule 1: ! -d 10.0.0.0/24 -j DROP", pods},
		{"one service only", Forward, "ACCEPT", "-A FORWARD -p tcp -m tcp --dport 25 -j DROP\n", "passes", pods},
		{"one protocol", Forward, "ACCEPT", "-A FORWARD -p sctp -j DROP\n", "may drop at filter FORWARD rule 1: -p sctp -j DROP", pods},
		{"a match that nobody knows", Forward, "ACCEPT", "-A FORWARD -m set --match-set bad src -j DROP\n", "may drop at filter FORWARD rule 1: -m set --match-set bad src -j DROP", pods},
		{"perhaps accepted", Forward, "DROP", "-A FORWARD -m set --match-set good src -j ACCEPT\n", "may drop at filter FORWARD: its policy drops", pods},
		{"in another chain", Forward, "ACCEPT", "-A FW -j DROP\n-A FORWARD -i cni0 -j FW\n", "drops at filter FW rule 1: -j DROP", pods},
		{"back from another chain", Forward, "ACCEPT", "-A FW -i cni0 -j RETURN\n-A FW -j DROP\n-A FORWARD -j FW\n", "passes", pods},
		{"gone to another chain", Forward, "ACCEPT", "-A FORWARD -g FW\n-A FORWARD -j DROP\n", "passes", pods},
		{"perhaps back from another chain", Forward, "ACCEPT", "-A FW -m set --match-set good src -j RETURN\n-A FW -j DROP\n-A FORWARD -j FW\n", "may drop at filter FW rule 2: -j DROP", pods},
		{"perhaps gone to another chain", Forward, "ACCEPT", "-A FORWARD -m set --match-set good src -g FW\n-A FORWARD -j DROP\n", "may drop at filter FORWARD rule 2: -j DROP", pods},
		{"perhaps in another chain, and back", Forward, "ACCEPT", "-A FW -j RETURN\n-A FW -j DROP\n-A FORWARD -m set --match-set good src -j FW\n", "passes", pods},
		{"perhaps in another chain, and through", Forward, "ACCEPT", "-A FW -j ACCEPT\n-A FW -j DROP\n-A FORWARD -m set --match-set good src -j FW\n", "passes", pods},
		{"a chain that calls itself", Forward, "ACCEPT", "-A FW -j FW\n-A FORWARD -j FW\n", "passes", pods},
		{"a target that is no chain", Forward, "ACCEPT", "-A FORWARD -j NFLOG\n", "passes", pods},
		{"a comment like a rule", Forward, "ACCEPT", `-A FORWARD -m comment --comment "a -d 1.2.3.4 \" -j DROP" -i lo -j DROP` + "\n", "passes", pods},
		{"new connections", Forward, "ACCEPT", "-A FORWARD -m conntrack --ctstate NEW -j DROP\n", "drops at filter FORWARD rule 1: -m conntrack --ctstate NEW -j DROP", pods},
		{"the tunnel's port", Input, "DROP", "-A INPUT -p udp -m multiport --dports 53,8000:9000 -j ACCEPT\n", "passes", udp8472},
		{"other ports", Input, "DROP", "-A INPUT -p udp -m udp --dport 53 -j ACCEPT\n", "drops at filter INPUT: its policy drops", udp8472},
		{"another protocol", Input, "ACCEPT", "-A INPUT -p tcp -j DROP\n", "passes", udp8472},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := what(Parse(save(c.policy, c.rules), "iptables").Walk(c.hook, c.packet)); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// Chains that lead on to others, several times each, are gone through once: else this would not
// end.
func TestManyWays(t *testing.T) {
	const deep = 40
	var rules strings.Builder
	for i := range deep + 1 {
		fmt.Fprintf(&rules, ":C%d - [0:0]\n", i)
	}
	for i := range deep {
		for mark := range 4 {
			fmt.Fprintf(&rules, "-A C%d -m mark --mark %d -j C%d\n", i, mark, i+1)
		}
	}
	fmt.Fprintf(&rules, "-A C%d -j DROP\n-A FORWARD -j C0\n", deep)
	if got, want := what(Parse(save("ACCEPT", rules.String()), "iptables").Walk(Forward, pods)), "may drop at filter C40 rule 1: -j DROP"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestRemedies(t *testing.T) {
	v := Parse(save("ACCEPT", "-A FW -j DROP\n-A FORWARD -i cni0 -j FW\n"), "ip6tables").Walk(Forward, pods)
	if want := "ip6tables -t filter -D FW -j DROP"; v.Remedy != want {
		t.Errorf("%s, want %s", v.Remedy, want)
	}
	if want := "ip6tables -t filter -I FORWARD -i cni0 -p udp --dport 53 -j ACCEPT"; v.Allow("cni0", "", 53) != want {
		t.Errorf("%s, want %s", v.Allow("cni0", "", 53), want)
	}
}

// What nft prints for a table of nftables' own; iptables-nft's tables beside it are left to
// iptables-save.
const nft = `{"nftables": [{"metainfo": {"json_schema_version": 1}},
 {"table": {"family": "inet", "name": "fw", "handle": 1}},
 {"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "drop"}},
 {"chain": {"family": "inet", "table": "fw", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
 {"chain": {"family": "inet", "table": "fw", "name": "fwd", "handle": 2, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
 {"chain": {"family": "inet", "table": "fw", "name": "out", "handle": 3, "type": "filter", "hook": "output", "prio": 0, "policy": "accept"}},
 {"rule": {"family": "inet", "table": "fw", "chain": "in", "handle": 4, "expr": [
  {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, {"accept": null}]}},
 {"rule": {"family": "inet", "table": "fw", "chain": "in", "handle": 5, "expr": [
  {"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": {"set": [53, {"range": [8000, 9000]}]}}}, {"counter": {"packets": 0, "bytes": 0}}, {"accept": null}]}},
 {"rule": {"family": "inet", "table": "fw", "chain": "fwd", "handle": 6, "expr": [
  {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "cni*"}},
  {"match": {"op": "!=", "left": {"payload": {"protocol": "ip", "field": "daddr"}}, "right": {"prefix": {"addr": "10.0.0.0", "len": 16}}}}, {"reject": {"type": "icmp", "expr": "port-unreachable"}}]}},
 {"rule": {"family": "inet", "table": "fw", "chain": "fwd", "handle": 7, "expr": [
  {"match": {"op": "==", "left": {"meta": {"key": "oifname"}}, "right": "@lan"}}, {"drop": null}]}},
 {"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 8, "expr": [
  {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 8472}}, {"drop": null}]}},
 {"rule": {"family": "inet", "table": "fw", "chain": "out", "handle": 9, "expr": [
  {"match": {"op": "!=", "left": {"payload": {"protocol": "ip6", "field": "daddr"}}, "right": {"prefix": {"addr": "fd00::", "len": 8}}}}, {"drop": null}]}}]}`

// A limit is a match that nobody can judge, and a map of verdicts decides over what is among its
// keys alone.
func TestNFTablesUnsure(t *testing.T) {
	limit := `{"limit": {"rate": 10, "per": "second"}}`
	states := `{"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [["established", {"accept": null}], ["invalid", {"drop": null}]]}}}`
	port := `{"payload": {"protocol": "udp", "field": "dport"}}`
	for _, c := range []struct {
		name, policy, exprs, want string
		packet                    Packet
	}{
		{"drops what is too much", "accept", limit + `, {"drop": null}`, "may drop at inet t in rule 1: limit drop", udp8472},
		{"accepts a little", "drop", limit + `, {"accept": null}`, "may drop at inet t in: its policy drops", udp8472},
		{"a map that is about others", "drop", states, "drops at inet t in: its policy drops", udp8472},
		{"a map that is about others", "accept", states, "passes", udp8472},
		{"a map that is about this", "drop", states, "may drop at inet t in rule 1: ct state established,invalid vmap", Packet{Established: true}},
		{"a map of ports", "accept", `{"vmap": {"key": ` + port + `, "data": {"set": [[8472, {"drop": null}]]}}}`, "may drop at inet t in rule 1: dport 8472 vmap", udp8472},
		{"a map of other ports", "accept", `{"vmap": {"key": ` + port + `, "data": {"set": [[53, {"drop": null}]]}}}`, "passes", udp8472},
		{"a map by name", "accept", `{"vmap": {"key": ` + port + `, "data": "@ports"}}`, "may drop at inet t in rule 1: dport vmap", udp8472},
	} {
		r, err := ParseNFT([]byte(`{"nftables": [
			{"chain": {"family": "inet", "table": "t", "name": "in", "type": "filter", "hook": "input", "prio": 0, "policy": "`+c.policy+`"}},
			{"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 1, "expr": [`+c.exprs+`]}}]}`), Selection{Family: "ip", Own: "podnet"})
		if err != nil {
			t.Fatal(err)
		}
		if got := what(r.Walk(Input, c.packet)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestNFTables(t *testing.T) {
	r, err := ParseNFT([]byte(nft), Selection{Family: "ip", Own: "podnet"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		hook, want string
		packet     Packet
	}{
		{Input, "passes", udp8472},
		{Input, "drops at inet fw in: its policy drops", Packet{Protocol: "udp", Port: 4789}},
		{Input, "passes", Packet{Established: true}},
		{Output, "passes", udp8472},
		{Output, "drops at inet fw out rule 2: daddr fd00::/8 drop", Packet{Dst: netip.MustParseAddr("2001:db8::1")}},
		{Forward, "drops at inet fw fwd rule 1: iifname cni+ daddr 10.0.0.0/16 reject", pods},
		{Forward, "may drop at inet fw fwd rule 2: oifname @lan drop", Packet{In: "cni0", Dst: netip.MustParseAddr("10.0.3.1")}},
	} {
		if got := what(r.Walk(c.hook, c.packet)); got != c.want {
			t.Errorf("%s %+v: %s, want %s", c.hook, c.packet, got, c.want)
		}
	}
	if v := r.Walk(Forward, pods); v.Remedy != "nft delete rule inet fw fwd handle 6" || v.Allow("", "cni0", 0) != "nft insert rule inet fw fwd oifname cni0 accept" {
		t.Errorf("%s; %s", v.Remedy, v.Allow("", "cni0", 0))
	}
	if _, err := ParseNFT([]byte("{"), Selection{Family: "ip", Own: "podnet"}); err == nil {
		t.Error("half a document is no error")
	}
}

// What surely ends a packet's way before a jump is told with its verdict and place, whatever chain
// it is in.
func TestAhead(t *testing.T) {
	const jump = "-A FORWARD -j FW\n"
	for _, c := range []struct {
		name, policy, rules, want string
	}{
		{"nothing", "DROP", jump, ""},
		{"behind", "ACCEPT", jump + "-A FORWARD -j DROP\n", ""},
		{"drops", "ACCEPT", "-A FORWARD -i eth0 -j ACCEPT\n-A FORWARD -i cni0 -j DROP\n" + jump, "drop FORWARD 2"},
		{"accepts", "DROP", "-A FORWARD -i cni0 -j ACCEPT\n-A FORWARD -j DROP\n" + jump, "accept FORWARD 1"},
		{"in another chain", "DROP", "-A MORE -i eth0 -j ACCEPT\n-A MORE -j DROP\n-A FORWARD -j MORE\n" + jump, "drop MORE 2"},
		{"back from another chain", "DROP", "-A MORE -j RETURN\n-A MORE -j DROP\n-A FORWARD -j MORE\n" + jump, ""},
		{"returns to the policy", "DROP", "-A FORWARD -i cni0 -j RETURN\n" + jump, "drop FORWARD 1"},
		{"returns to a policy that accepts", "ACCEPT", "-A FORWARD -i cni0 -j RETURN\n" + jump, "accept FORWARD 1"},
		{"goes to a chain that ends", "DROP", "-A FORWARD -g MORE\n" + jump, "drop FORWARD 1"},
		{"perhaps drops", "ACCEPT", "-A FORWARD -m set --match-set a src -j DROP\n" + jump, ""},
		{"perhaps accepted before", "ACCEPT", "-A FORWARD -m set --match-set a src -j ACCEPT\n-A FORWARD -j DROP\n" + jump, ""},
		{"perhaps gone before", "ACCEPT", "-A FORWARD -m set --match-set a src -j RETURN\n-A FORWARD -j DROP\n" + jump, ""},
		{"perhaps dropped before", "ACCEPT", "-A FORWARD -m set --match-set a src -j DROP\n-A FORWARD -j DROP\n" + jump, "drop FORWARD 2"},
		{"a program decides", "ACCEPT", "-A FORWARD -j NFQUEUE --queue-num 0\n" + jump, ""},
		{"an extension that is a match by itself", "ACCEPT", "-A FORWARD -m socket -j DROP\n" + jump, ""},
		{"a jump that is not all packets'", "ACCEPT", "-A FORWARD -i eth0 -j FW\n-A FORWARD -i cni0 -j DROP\n" + jump, "drop FORWARD 2"},
	} {
		got := ""
		if e, is := Parse(save(c.policy, ":MORE - [0:0]\n"+c.rules), "iptables").Ahead("filter", "FORWARD", "FW", pods); is {
			got = fmt.Sprintf("%s %s %d", e.Verdict, e.Chain, e.Number)
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestMentions(t *testing.T) {
	rules := Parse(save("ACCEPT", `-A FORWARD ! -s 10.1.0.0/16 -m comment --comment "-s 10.2.0.0/16 " -j MORE
-A FORWARD -d 10.3.0.1/32 -j DROP
-A FORWARD -j FW
-A FORWARD -s 10.4.0.0/16 -j DROP
:MORE - [0:0]
-A MORE -s 10.5.0.0/16 -j MORE
`), "iptables")
	var got []string
	for p := range rules.Mentions("filter", "FORWARD", "FW") {
		got = append(got, p.String())
	}
	if want := "10.1.0.0/16 10.5.0.0/16 10.3.0.1/32"; strings.Join(got, " ") != want {
		t.Errorf("%v, want %s", got, want)
	}
}
