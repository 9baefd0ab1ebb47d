package faults

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// Whatever podnet does on a node, the foreign objects have the same hash as before: links, addresses, neighbours and FDB
// entries, routes of several tables, policy rules, iptables chains of both families, an nftables table, conflists, leases.
// The lab looks at the same objects when any of its tests ends.
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
