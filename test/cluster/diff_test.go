package cluster

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// plan is what these tests read of a Plan.
type plan struct {
	APIVersion, Kind, Node string
	InSync                 bool
	Steps                  []struct{ Op, Kind, Name, Peer, Cause, Source, Result string }
	Conflicts              []struct{ Kind, Name, Owner, Remedy string }
}

func diffJSON(t *testing.T, n *lab.Node, args ...string) (plan, int) {
	t.Helper()
	out := n.Podnetctl(append([]string{"diff", "-o", "json"}, args...)...)
	var p plan
	if err := json.Unmarshal([]byte(out.Stdout), &p); err != nil {
		t.Fatalf("diff -o json: %v\n%s%s", err, out.Stdout, out.Stderr)
	}
	return p, out.Code
}

func TestDiff(t *testing.T) {
	l, topology := nodes(t, "node-a", "node-b")
	n := l.Nodes[0]
	topology.Extra = []string{`network: {clusterCIDRs: ["10.244.0.0/16", "fd00:10:244::/48"]}`} // or a new peer widens them
	n.Write(topology.String())
	n.Start()
	n.AwaitInForce()
	n.Stop() // so that nothing but diff could change anything
	next := topology
	next.Nodes = append(next.Nodes[:2:2], lab.Entry{Name: "node-c", IP: "192.0.2.50", PodCIDRs: []string{lab.PodCIDR4(9), lab.PodCIDR6(9)}})
	n.WriteFile("/next.yaml", next.String())
	n.WriteFile("/bad.yaml", strings.Replace(topology.String(), "nodes:", "nodez:", 1))

	for _, c := range []struct {
		name string
		args []string
		code int
	}{
		{"nothing to do", nil, 0},
		{"the same file by name", []string{n.Path(lab.TopologyPath)}, 0},
		{"a new peer", []string{n.Path("/next.yaml")}, 1},
		{"an invalid file", []string{n.Path("/bad.yaml")}, 1},
		{"no such file", []string{n.Path("/none.yaml")}, 2},
		{"no such flag", []string{"--no-such-flag"}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, files := n.State(), n.Files()
			out := n.Podnetctl(append([]string{"diff"}, c.args...)...)
			exits(t, out, c.code, "diff")
			if c.code == 2 && (out.Stdout != "" || out.Stderr == "") {
				t.Errorf("a diagnostic belongs on standard error: stdout %q, stderr %q", out.Stdout, out.Stderr)
			}
			unchanged(t, n, state, "diff")
			if !maps.Equal(files, n.Files()) {
				t.Error("diff changed a file")
			}
		})
	}

	t.Run("the plan of a new peer", func(t *testing.T) {
		p, _ := diffJSON(t, n, n.Path("/next.yaml"))
		if p.APIVersion != "podnet.dev/v1alpha1" || p.Kind != "Plan" || p.Node != "node-a" || p.InSync {
			t.Errorf("plan %+v", p)
		}
		kinds := map[string]int{}
		for _, s := range p.Steps {
			if s.Op != "create" || s.Peer != "node-c" || s.Cause != "change" || !strings.Contains(s.Source, "next.yaml:") {
				t.Errorf("step %+v, want a create for node-c because of the file", s)
			}
			kinds[s.Kind]++
		}
		if want := map[string]int{"tunnelSource": 1, "neigh": 2, "fdb": 1, "route": 2}; !maps.Equal(kinds, want) {
			t.Errorf("steps %v, want %v", kinds, want)
		}
	})
}

func TestDiffSeesDriftAndLeavesIt(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	n.Stop()
	n.Sh("ip route del " + lab.PodCIDR4(1))
	state := n.State()
	p, code := diffJSON(t, n)
	if code != 1 || len(p.Steps) != 1 || p.Steps[0].Kind != "route" || p.Steps[0].Op != "create" || p.Steps[0].Cause != "drift" {
		t.Errorf("exit code %d, steps %+v; want 1 and one create of a route because of drift", code, p.Steps)
	}
	unchanged(t, n, state, "diff")
	exits(t, n.Podnetctl("apply"), 0, "apply")
	exits(t, n.Podnetctl("diff"), 0, "diff after apply")
}
