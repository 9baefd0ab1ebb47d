package firewall

import (
	"os"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// apart gives the test a network namespace of its own, and its filters.
func apart(t *testing.T) *Host {
	t.Helper()
	lab.Need(t)
	lab.Apart(t)
	return open(t)
}

// open returns the filters of the network namespace that the test is in.
func open(t *testing.T) *Host {
	t.Helper()
	h := Open(func(int) {})
	t.Cleanup(h.Close)
	return h
}

// Rules are read when nftables has a new generation of them, and only then.
func TestRulesAreReadOnce(t *testing.T) {
	host := apart(t)
	if err := host.hasIPTables(4); err != nil {
		t.Skip(err)
	}
	lab.Sh(t, "iptables -N PODNET-FORWARD")
	read := func() (rules string) {
		t.Helper()
		live := &state.Live{}
		if err := host.List(TrafficOf(&state.Set{}), live); err != nil {
			t.Fatal(err)
		}
		for _, c := range live.Chains.Rows() {
			if c.Family == 4 {
				rules += c.Rules
			}
		}
		return rules
	}
	if got := read(); got != "" {
		t.Fatalf("rules of an empty chain: %q", got)
	}
	c := host.rules[4]
	if !c.nftables {
		t.Skip("iptables is iptables-legacy here, which is read every time")
	}
	if !c.good {
		t.Fatal("nothing has changed, and the reading is not taken to be good")
	}
	c.chains = []state.Chain{{Family: 4, Rules: "as known"}}
	host.rules[4] = c
	if got := read(); got != "as known" {
		t.Errorf("read again without need: %q", got)
	}
	lab.Sh(t, "iptables -A PODNET-FORWARD -j ACCEPT")
	if got := read(); got != "-j ACCEPT" {
		t.Errorf("after a change: %q", got)
	}
	if generation, known := host.Generation(); !known || !host.lastRead.covers(generation) || host.lastRead.covers(generation+1) {
		t.Errorf("read as of %d, %v", generation, known)
	}
}
