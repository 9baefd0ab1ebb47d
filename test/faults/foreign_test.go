package faults

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// Whatever podnet does on a node, the foreign objects have the same hash as before: links,
// addresses, neighbours and FDB entries, routes of several tables, policy rules, iptables chains of
// both families, an nftables table, conflists, leases. The lab looks at the same objects when any
// of its tests ends.
func TestNonInterference(t *testing.T) {
	var table strings.Builder
	fmt.Fprintf(&table, "%-36s %-18s %8s  %s\n", "foreign objects after", "topology", "objects", "hash")
	for _, s := range shapes() {
		n := newTarget(t, s)
		before, bare := n.Foreign(), n.Network()
		for _, stage := range []struct {
			name string
			do   func()
		}{
			{"nothing yet", func() {}},
			{"a first apply", func() { n.has(n.before) }},
			{"an edit", func() { n.has(n.next) }},
			{"a trial", func() { n.tries("10m", n.before) }},
			{"its rollback", func() { n.must("rollback") }},
			{"a trial, confirmed", func() { n.tries("10m", n.before); n.must("confirm") }},
			{"a trial not confirmed in time", func() { n.tries("1s", n.next); n.cameBack(n.before) }},
			{"damage healed by podnetd", func() { n.heal() }},
			{"a killed podnetd, started again", func() { n.Launch(); n.AwaitInForce(); n.Kill9(); n.restarted() }},
			{"teardown", func() { n.bare() }},
		} {
			stage.do()
			after := n.Foreign()
			if err := lab.SameState(before, after); err != nil {
				t.Errorf("%s, after %s:\n%v", s.name, stage.name, err)
			}
			objects := 0
			for line := range strings.Lines(after) {
				if !strings.HasPrefix(line, "#") {
					objects++
				}
			}
			fmt.Fprintf(&table, "%-36s %-18.18s %8d  %.12x\n", stage.name, s.name, objects, sha256.Sum256([]byte(after)))
		}
		if err := lab.SameState(bare, n.Network()); err != nil {
			t.Errorf("%s: not as it was before podnet came:\n%v", s.name, err)
		}
	}
	report(t, table.String())
}

// tries puts a topology on trial.
func (n *target) tries(d, topology string) {
	n.t.Helper()
	n.WriteFile("/next.yaml", topology)
	n.must("apply", "--confirm", d, n.Path("/next.yaml"))
}

// cameBack waits until a trial has ended by itself in the topology before it.
func (n *target) cameBack(topology string) {
	n.t.Helper()
	lab.Eventually(n.t, lab.Patience, "the end of a trial", func() error {
		if have, err := n.ReadFile(lab.TopologyPath); err != nil || have != topology {
			return fmt.Errorf("the file before is not in place again (%v)", err)
		}
		if _, err := os.Stat(n.Path("/var/lib/podnet/pending")); err == nil {
			return errors.New("the trial is still there")
		}
		return n.succeeds("diff")
	})
}

// heal has a daemon put right what is damaged.
func (n *target) heal() {
	n.Launch()
	n.AwaitInForce()
	for _, line := range []string{"ip link del podnet.1", "iptables -F PODNET-FORWARD", "ip route flush proto 72"} {
		_, _ = n.Exec(strings.Fields(line)...) // what is missing already cannot be damaged
	}
	if err := os.Remove(n.Path(lab.ConflistPath)); err != nil {
		n.t.Fatal(err)
	}
	lab.Eventually(n.t, lab.Patience, "healed", func() error { return n.succeeds("diff") })
	n.Stop()
}

func (n *target) restarted() {
	if err := n.restart(); err != nil {
		n.t.Fatal(err)
	}
}
