package cluster

import (
	"strings"
	"testing"
)

// A pod that is older than its node's ranges is named by status and doctor until it has gone, and
// its address is not counted as one of the new range.
func TestStalePods(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	web := n.Pod("web")
	next := strings.NewReplacer("10.244.0.0/24", "10.244.16.0/24", "fd00:10:244::/64", "fd00:10:244:16::/64").Replace(topology.String())
	n.WriteFile("/next.yaml", next)
	exits(t, n.Podnetctl("apply", "--allow-disruption", n.Path("/next.yaml")), 0, "apply")
	c := n.AwaitCondition("Degraded", "True")
	if c.Reason != "StalePods" || !strings.Contains(c.Message, "1 pod has an address outside of 10.244.16.0/24") || !strings.Contains(c.Message, "restart it") {
		t.Errorf("condition %+v", c)
	}
	said := func(verb string, code int, want string) {
		t.Helper()
		out := n.Podnetctl(verb)
		exits(t, out, code, verb)
		if !strings.Contains(strings.Join(strings.Fields(out.Stdout), " "), want) {
			t.Errorf("%s does not say %q:\n%s", verb, want, out.Stdout)
		}
	}
	said("status", 0, "1 running, 0 of 253 addresses in 10.244.16.0/24")
	said("status", 0, "1 pod has an address outside of 10.244.16.0/24")
	said("doctor", 1, "1 pod has an address outside of 10.244.16.0/24")
	n.Pod("new")
	said("status", 0, "2 running, 1 of 253 addresses in 10.244.16.0/24")
	if err := web.Del(); err != nil {
		t.Fatal(err)
	}
	said("status", 0, "1 running, 1 of 253 addresses in 10.244.16.0/24")
	n.AwaitCondition("Degraded", "False")
}
