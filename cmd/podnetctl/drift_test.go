package main

import (
	"regexp"
	"testing"
)

// A line of diff says what is wrong with which object: a link that is down is there, one that is
// gone is one line, and chains of one name are told apart.
func TestDriftLines(t *testing.T) {
	for _, c := range []struct {
		name, harm  string
		has, hasNot []string
	}{
		{"a link set down", "ip link set podnet.1 down", []string{`~ link +podnet.1 +down -> up`}, []string{`link +podnet.1 +gone`}},
		{"a link deleted", "ip link del podnet.1", []string{`\+ link +podnet.1 +gone`}, []string{`(?s)link +podnet.1 .*link +podnet.1 `}},
		{"a link that has to be made anew", "ip link set podnet.1 down; ip link set podnet.1 name podnet.2", []string{`\+ link +podnet.1 +gone`, `- link +podnet.2 `},
			[]string{`(?s)link +podnet.1 .*link +podnet.1 `}},
		{"chains deleted", "for t in iptables ip6tables; do $t -D FORWARD -j PODNET-FORWARD; $t -F PODNET-FORWARD; $t -X PODNET-FORWARD; done",
			[]string{`\+ chain +PODNET-FORWARD +gone from ipv4 filter`, `\+ chain +PODNET-FORWARD +gone from ipv6 filter`}, nil},
		{"chains flushed", "iptables -t nat -F PODNET-MASQUERADE; ip6tables -t nat -F PODNET-MASQUERADE",
			[]string{`~ chain +PODNET-MASQUERADE +ipv4 nat: `, `~ chain +PODNET-MASQUERADE +ipv6 nat: `}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sound(t)
			h.Must("sh", "-ec", c.harm)
			got := h.run(1, "diff")
			for _, want := range c.has {
				if !regexp.MustCompile(want).MatchString(got.stdout) {
					t.Errorf("no %s in\n%s", want, got.stdout)
				}
			}
			for _, unwanted := range c.hasNot {
				if regexp.MustCompile(unwanted).MatchString(got.stdout) {
					t.Errorf("%s in\n%s", unwanted, got.stdout)
				}
			}
			h.run(0, "apply")
		})
	}
}
