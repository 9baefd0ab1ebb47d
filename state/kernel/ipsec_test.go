package kernel_test

import (
	"os/exec"
	"strings"
	"testing"
)

// An IPsec policy that loses what pods or the tunnel send is named with its selector; the remedy,
// pasted, ends that. One that loses nothing of podnet's is no conflict.
func TestIPsecPolicies(t *testing.T) {
	const wide, nodes = "src 10.0.0.0/8 dst 10.0.0.0/8", "src 192.0.2.11/32 dst 192.0.2.12/32"
	const esp = " tmpl src 192.0.2.11 dst 192.0.2.12 proto esp mode transport"
	for _, c := range []struct{ name, policy, more, says string }{
		{"block what is sent", wide + " dir out action block", "", wide + " dir out"},
		{"block what is forwarded", wide + " dir fwd action block priority 100", "", "drops what pods in 10.244.0.0/24 send"},
		{"transform pods' packets", wide + " dir out priority 9 tmpl src 192.0.2.11 dst 192.0.2.12 proto esp mode tunnel", "", "transforms what pods"},
		{"an association that is missing", nodes + " dir out" + esp, "", "there is no association"},
		{"block the tunnel", nodes + " proto udp dport 8472 dir out action block", "", "drops the tunnel's packets from 192.0.2.11 to 192.0.2.12"},
		{"block what the tunnel gets", "src 192.0.2.0/24 dst 192.0.2.0/24 dir in action block", "", "drops the tunnel's packets from 192.0.2.12 to 192.0.2.11"},
		{"IPv6", "src fd00:10:244::/48 dst fd00:10:244::/48 dir out action block", "", "drops what pods in fd00:10:244::/64"},
		{"another range", "src 10.99.0.0/16 dst 10.98.0.0/16 dir out action block", "", ""},
		{"another port", nodes + " proto tcp dport 8472 dir out action block", "", ""},
		{"behind one that allows", wide + " dir out action block priority 10", "ip xfrm policy add src 10.244.0.0/16 dst 10.244.0.0/16 dir out priority 5", ""},
		{"a transformation that may be left out", nodes + " dir out" + esp + " level use", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			node, want := misrouted(t, "ip xfrm policy add "+c.policy)
			paste := func(command string) {
				t.Helper()
				if out, err := exec.Command("sh", "-ec", command).CombinedOutput(); err != nil {
					t.Fatalf("%s: %v: %s", command, err, out)
				}
			}
			paste(c.more)
			got := conflictsOf(t, node, want)
			if c.says == "" {
				if len(got) > 0 {
					t.Errorf("conflicts: %+v", got)
				}
				return
			}
			if len(got) != 1 || !strings.Contains(got[0].Owner, c.says) || got[0].Counts {
				t.Fatalf("conflicts: %+v", got)
			}
			t.Log(got[0].Owner, got[0].Remedy)
			paste(got[0].Remedy)
			if left := conflictsOf(t, node, want); len(left) > 0 {
				t.Errorf("after the remedy: %+v", left)
			}
		})
	}
}
