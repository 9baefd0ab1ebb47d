package cluster

import (
	"encoding/json"
	"strings"
	"testing"
)

// A base chain of nftables that drops what podnet accepts is a condition of the daemon's, with its
// remedy, and the node's own objects are in sync all the same.
func TestForeignFilter(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Must("nft", "add table inet fw; add chain inet fw across { type filter hook forward priority 10; policy drop; }")
	c := n.AwaitCondition("Conflict", "True", "inet fw across")
	if !strings.Contains(c.Message, "nft insert rule inet fw across") {
		t.Errorf("condition %+v", c)
	}
	if s, err := n.Status(); err != nil || !s.InSync {
		t.Errorf("in sync: %v, %v; want true", s.InSync, err)
	}
	_, remedy, _ := strings.Cut(c.Message, "remedy: ")
	n.Must("sh", "-c", remedy)
	n.AwaitCondition("Conflict", "False")
}

// A rule of iptables that breaks what pods send each other is a condition of the daemon's and a
// finding of doctor's, whatever it is written with, and its remedy, pasted, ends it; the node's own
// objects are in sync all the same.
func TestForeignRule(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	here, there := n.Pod("here"), l.Nodes[1].Pod("there")
	reach(t, here, there)
	for _, c := range []struct{ name, damage, finding, about string }{
		{"what the bridge sends", "iptables -I FORWARD -i cni0 -j DROP", "foreign-chain", "rule 1 of FORWARD"},
		{"what is for another node", "iptables -I FORWARD -d 10.244.1.0/24 -j REJECT", "foreign-chain", "rule 1 of FORWARD"},
		{"over IPv6", "ip6tables -I FORWARD -o cni0 -m comment --comment 'the \"last\" word' -j REJECT", "foreign-chain", "rule 1 of FORWARD"},
		{"in a chain of its own", "iptables -N UC; iptables -A UC -j DROP; iptables -I FORWARD -j UC", "foreign-chain", "rule 1 of UC"},
		{"masquerades", "iptables -t nat -I POSTROUTING -s 10.244.0.0/24 -j MASQUERADE", "foreign-chain", "rewrites the source"},
		{"rewrites", "ip6tables -t nat -I POSTROUTING -o podnet.1 -j SNAT --to-source 2001:db8::11", "foreign-chain", "rewrites the source"},
		{"on the underlay", "iptables -I INPUT -i eth0 -j DROP", "input-closed", "rule 1: -i eth0 -j DROP"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.Must("sh", "-c", c.damage)
			n.AwaitCondition("Conflict", "True", c.about)
			if s, err := n.Status(); err != nil || !s.InSync {
				t.Errorf("in sync: %v, %v; want true", s.InSync, err)
			}
			var found struct {
				Findings []struct{ ID, Owner, Remedy string }
			}
			out := n.Podnetctl("doctor", "-o", "json")
			exits(t, out, 1, "doctor")
			if err := json.Unmarshal([]byte(out.Stdout), &found); err != nil {
				t.Fatal(err)
			}
			for _, f := range found.Findings {
				if f.ID != "input-open" && f.ID != "plugin-missing" {
					if f.ID != c.finding || !strings.Contains(f.Owner, c.about) {
						t.Errorf("finding %+v", f)
					}
					n.Must("sh", "-c", f.Remedy)
				}
			}
			n.AwaitCondition("Conflict", "False")
			reach(t, here, there)
		})
	}
}
