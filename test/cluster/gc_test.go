package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// A pod whose namespace vanished leaves a lease and a port mapping behind, which gc frees, and the
// daemon at its start. What a live pod has stays.
func TestCollectGarbage(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	alive := n.NewPod("alive")
	alive.Ports = []lab.PortMapping{{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}
	if _, err := alive.Add(); err != nil {
		t.Fatal(err)
	}
	leases := func() string {
		entries, err := os.ReadDir(n.Path("/var/lib/cni/networks/podnet"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), "10.244.") {
				names = append(names, e.Name())
			}
		}
		return strings.Join(names, " ")
	}
	mappings := func() string { return n.Sh("iptables-save") + n.Sh("nft list ruleset") }
	for _, collect := range []func(){
		func() { exits(t, n.Podnetctl("gc"), 0, "gc") },
		func() { n.Stop(); n.Start() },
	} {
		gone := n.NewPod("gone")
		gone.Ports = []lab.PortMapping{{HostPort: 8081, ContainerPort: 80, Protocol: "tcp"}}
		if _, err := gone.Add(); err != nil {
			t.Fatal(err)
		}
		address := gone.Addr4()
		if !strings.Contains(mappings(), "8081") {
			t.Errorf("no mapping:\n%s", mappings())
		}
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		lab.Eventually(t, lab.Patience, "the pod's veth is gone", func() error { // the kernel takes its time
			if links := n.Sh("ip -o link show group 7201"); strings.Count(links, "\n") != 1 {
				return fmt.Errorf("links:\n%s", links)
			}
			return nil
		})
		collect()
		lab.Eventually(t, lab.Patience, "the lease is freed", func() error {
			if left := leases(); strings.Contains(left+" ", address+" ") || !strings.Contains(left+" ", alive.Addr4()+" ") {
				return fmt.Errorf("leases %s", left)
			}
			if left := mappings(); strings.Contains(left, "8081") || !strings.Contains(left, "8080") {
				return fmt.Errorf("mappings\n%s", left)
			}
			return nil
		})
	}
	if err := alive.Check(); err != nil {
		t.Error(err)
	}
}

// In a pod's namespace, where somebody may have gone to look around, gc sees no pod's veth, and
// teardown no daemon: both refuse.
func TestElsewhere(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	p := n.NewPod("alive")
	if _, err := p.Add(); err != nil {
		t.Fatal(err)
	}
	before := n.State()
	for verb, c := range map[string]struct {
		code int
		says string
	}{"gc": {2, "is on no link of this network namespace"}, "teardown": {1, "is in this network namespace"}} {
		out, err := p.Run(t.Context(), exec.Command(lab.Program("podnetctl"), "--root", n.Root, "--node", n.Host, verb))
		if err != nil || out.Code != c.code || !strings.Contains(out.Stderr, c.says) {
			t.Errorf("%s: %+v, %v", verb, out, err)
		}
	}
	unchanged(t, n, before, "podnetctl in a pod's namespace")
	if _, err := n.ReadFile("/var/lib/podnet/last-good.yaml"); err != nil {
		t.Error(err)
	}
	if err := p.Check(); err != nil {
		t.Error(err)
	}
}

// gc under a load of pods that come and go takes nothing from any of them.
func TestCollectUnderLoad(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	done := make(chan struct{})
	var pods sync.WaitGroup
	for i := range 6 {
		p := n.NewPod(fmt.Sprintf("p%d", i))
		pods.Go(func() {
			for range 15 {
				if _, err := p.Add(); err != nil {
					t.Errorf("ADD: %v", err)
					return
				}
				if err := p.Check(); err != nil {
					t.Errorf("CHECK of a live pod: %v", err)
				}
				if err := p.Del(); err != nil {
					t.Errorf("DEL: %v", err)
				}
			}
		})
	}
	go func() { pods.Wait(); close(done) }()
	rounds := 0
	for running := true; running; rounds++ {
		exits(t, n.Podnetctl("gc"), 0, "gc")
		select {
		case <-done:
			running = false
		default:
		}
	}
	t.Logf("%d collections", rounds)
}
