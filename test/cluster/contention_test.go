package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/podnet/podnet/test/lab"
)

// Somebody who takes a route away again and again is named, and what he breaks heals soon after his
// end.
func TestContention(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	lab.Eventually(t, lab.Patience, "the fight is noticed", func() error {
		for range 10 {
			_, _ = n.Exec("ip", "route", "del", "10.244.1.0/24") // it may just be gone
		}
		s, err := n.Status()
		if err != nil {
			return err
		}
		c := s.Condition("Contention")
		if c.Status != "True" || c.Reason != "Fight" || !strings.Contains(c.Message, "route 10.244.1.0/24 was put right") || !strings.Contains(c.Message, "last changed by") {
			return fmt.Errorf("condition %+v", c)
		}
		return nil
	})
	lab.Eventually(t, lab.Patience, "healed after the fight", func() error { return n.CheckPeers(topology) })
}

// A storm of other programs' routes keeps the daemon to its share of the machine, and from nothing
// that it has to heal. One within the range of the peers' podCIDRs is read, as far as that share
// goes; of one beside it hardly anything is. Who makes it is reported.
func TestStormIsHeldOff(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b", "node-c") // both peers' podCIDRs are in 10.244.0.0/22
	n := l.Nodes[0]
	for _, c := range []struct {
		prefix string
		share  float64
	}{
		{"10.244.3", 0.35}, // a fifth, and the credit for a burst
		{"198.18.3", 0.1},  // the start of the daemon, and a sample
	} {
		t.Run(c.prefix, func(t *testing.T) {
			d := n.Restart()
			file := n.Path("storm")
			if err := os.WriteFile(file, []byte(foreignRoutes(c.prefix, 20000)), 0o644); err != nil {
				t.Fatal(err)
			}
			before, begin := d.CPU(t), time.Now()
			for time.Since(begin) < 7*time.Second {
				n.Sh("ip -batch " + file)
			}
			share := (d.CPU(t) - before).Seconds() / time.Since(begin).Seconds()
			t.Logf("podnetd took %.2f of a core", share)
			if share > c.share {
				t.Errorf("podnetd took %.2f of a core", share)
			}
			s, err := n.Status()
			if err != nil {
				t.Fatal(err)
			}
			if c := s.Condition("Contention"); c.Reason != "Storm" || !strings.Contains(c.Message, ", last changed by ") {
				t.Errorf("%+v", c)
			}
			n.Sh("ip route del 10.244.1.0/24")
			lab.Eventually(t, lab.Patience, "healed after the storm", func() error { return n.CheckPeers(topology) })
			if out := n.Podnetctl("status"); out.Code != 0 {
				t.Errorf("what others do with their own routes is held against the node: %+v", out)
			}
		})
	}
}

// What the daemon does for those who read its metrics is no storm, whatever it takes: nothing is
// being changed.
func TestReadersAreNoStorm(t *testing.T) {
	l, _ := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	d := n.Restart()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				_, _, _ = n.Get(ctx, "127.0.0.1:9472", "/metrics") // it is told to stop in the middle of one
			}
		})
	}
	before := d.CPU(t)
	for begin := time.Now(); time.Since(begin) < 8*time.Second; time.Sleep(100 * time.Millisecond) {
		d.Signal(syscall.SIGHUP)
	}
	took := d.CPU(t) - before
	cancel()
	readers.Wait()
	s, err := n.Status()
	if err != nil {
		t.Fatal(err)
	}
	if c := s.Condition("Contention"); c.Status != "False" {
		t.Errorf("podnetd took %s while it was read: %+v", took, c)
	}
}

// foreignRoutes makes and deletes so many routes within a /24, as ip -batch has it.
func foreignRoutes(prefix string, count int) string {
	var batch strings.Builder
	for i := range count {
		fmt.Fprintf(&batch, "route add %s.%d/32 dev eth0\nroute del %s.%d/32 dev eth0\n", prefix, i%250, prefix, i%250)
	}
	return batch.String()
}
