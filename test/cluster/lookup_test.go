package cluster

import (
	"strings"
	"testing"
)

// A policy rule that is missing, or that takes pods' packets or the tunnel's, is a condition of the
// daemon's with the remedy that ends it, pasted. Without a rule for table main none of podnet's
// routes has any effect, and the node is neither in sync nor Ready.
func TestPolicyRules(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	here, there := n.Pod("here"), l.Nodes[1].Pod("there")
	reach(t, here, there)
	const vpn = "ip route replace default via 192.0.2.254 onlink dev eth0 table 52; "
	for _, c := range []struct {
		name, damage, about string
		inSync              bool
	}{
		{"none for main", "ip rule del pref 32766", "no policy rule leads to table main", false},
		{"a VPN's", vpn + "ip rule add pref 5270 not fwmark 0x80000/0xff0000 lookup 52", "rule 5270", true},
		{"a cloud agent's", vpn + "ip rule add pref 30200 from " + n.IP4 + " lookup 52", "rule 30200", true},
		{"what a pod sends", "ip rule add pref 77 iif cni0 prohibit", "rule 77", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n.Must("sh", "-ec", c.damage)
			condition := n.AwaitCondition("Conflict", "True", c.about)
			s, err := n.Status()
			if err != nil || s.InSync != c.inSync || (s.Condition("Ready").Status == "True") != c.inSync {
				t.Errorf("in sync: %v, %+v, %v; want %v", s.InSync, s.Condition("Ready"), err, c.inSync)
			}
			code := map[bool]int{true: 0, false: 1}[c.inSync]
			for _, verb := range []string{"status", "diff", "apply"} {
				out := n.Podnetctl(verb)
				exits(t, out, code, verb)
				if !strings.Contains(strings.Join(strings.Fields(out.Stdout), " "), c.about) {
					t.Errorf("%s does not say %q:\n%s", verb, c.about, out.Stdout)
				}
			}
			_, remedy, _ := strings.Cut(condition.Message, "remedy: ")
			n.Must("sh", "-ec", remedy)
			reach(t, here, there)
			n.AwaitCondition("Conflict", "False")
			exits(t, n.Podnetctl("status", "--wait", "10s"), 0, "status")
			n.Must("sh", "-ec", "for p in 77 5270 30200 76 5269 30199; do while ip rule del pref $p 2>/dev/null; do :; done; done")
		})
	}
}
