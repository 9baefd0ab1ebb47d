package main

import (
	"fmt"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// pace is the time from one event on the node to the next.
const pace = 100 * time.Millisecond

// soak runs a node for so long and fails t if what its daemon holds grows, or if the node does not
// end as it began.
func soak(t lab.TB, lasts time.Duration, peers int) {
	n := lab.New(t).Node("soaks")
	topology := site(n, peers)
	n.Write(topology.String())
	d := n.Start("--resync", "30s", "--log-level", "error")
	n.AwaitInForce()
	before := n.State()

	w := &weather{node: n, topology: topology}
	watch := &watch{node: n, pid: d.PID, every: lasts / samples}
	for begin := time.Now(); time.Since(begin) < lasts; time.Sleep(pace) {
		w.event()
		if err := watch.sample(time.Since(begin)); err != nil {
			t.Fatalf("%v; log:\n%s", err, d.Log())
		}
	}
	w.calm()

	t.Logf("%s on a node of %d peers: %s", lasts, peers, w)
	if grows := watch.report(t); len(grows) > 0 {
		t.Fatalf("not flat: %v", grows)
	}
	n.AwaitInForce()
	lab.Eventually(t, lab.Patience, "the node as it was", func() error { return lab.SameState(before, n.State()) })
	if left := leases(n); left > 0 {
		t.Fatalf("%d leases are left of pods that were deleted", left)
	}
	if code := n.Stop(); code != 0 {
		t.Fatalf("podnetd ends with code %d:\n%s", code, d.Log())
	}
	t.Logf("the node ends as it began, without a lease of a pod that is gone")
}

// site is a dual stack topology of so many peers and the node itself, which comes first.
func site(n *lab.Node, peers int) lab.Topology {
	t := lab.Topology{Name: "soak", Extra: []string{`network: {clusterCIDRs: ["10.128.0.0/9", "fd00:10:244::/48"]}`}}
	for i := range peers + 1 {
		e := lab.Entry{
			Name: fmt.Sprintf("node-%05d", i), IP: fmt.Sprintf("172.16.%d.%d", i>>8, i&255),
			PodCIDRs: []string{fmt.Sprintf("10.%d.%d.0/24", 128+i>>8, i&255), fmt.Sprintf("fd00:10:244:%x::/64", i+1)},
		}
		if i == 0 {
			e.Name, e.IP = n.Host, n.IP4
		}
		t.Nodes = append(t.Nodes, e)
	}
	return t
}
