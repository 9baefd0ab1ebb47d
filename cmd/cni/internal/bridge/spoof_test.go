package bridge_test

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// With macspoofchk a pod can send from its own MAC address only, and nothing is left of that after
// it.
func TestMACSpoofCheck(t *testing.T) {
	h := newHost(t)
	if out, err := h.Exec("nft", "add table bridge probe"); err != nil {
		t.Skipf("nftables' bridge family: %s %v", out, err)
	}
	h.Must("nft", "delete table bridge probe")
	conf := h.conf(`"isGateway":true,"macspoofchk":true`, ranges4)
	a, b := h.NewPod("a"), h.NewPod("b")
	result := h.Succeed(on(a, conf).With("ADD"))
	h.Succeed(on(a, conf).With("ADD")) // an interrupted ADD, repeated
	h.Succeed(on(b, conf).With("ADD"))
	if err := a.Ping("10.1.0.3"); err != nil {
		t.Error(err)
	}
	if err := h.check(on(b, conf), strings.ReplaceAll(result, "10.1.0.2", "10.1.0.3")); err == nil || !strings.Contains(err.Error(), "MAC address is") {
		t.Errorf("CHECK with another's MAC: %v", err)
	}

	guard := "cni-br-iface-" + a.ID + "-eth0"
	result = h.Succeed(on(a, conf).With("ADD"))
	if err := h.check(on(a, conf), result); err != nil {
		t.Error(err)
	}
	h.Must("nft", "flush chain bridge nat "+guard)
	cnihost.WantFault(t, h.check(on(a, conf), result), 103, "macspoofchk lets it send from any address")
	result = h.Succeed(on(a, conf).With("ADD"))

	if _, err := a.Exec("ip", "link", "set", "eth0", "address", "02:00:00:00:00:99"); err != nil {
		t.Fatal(err)
	}
	h.Must("ip", "neigh", "flush", "dev", "br0")
	if err := a.Ping("10.1.0.3"); err == nil {
		t.Error("another MAC address passes")
	}
	if err := b.Ping("10.1.0.1"); err != nil {
		t.Error(err)
	}
	if err := h.check(on(a, conf), result); err == nil || !strings.Contains(err.Error(), "macspoofchk") {
		t.Errorf("CHECK with a MAC that is not let pass: %v", err)
	}
	h.Succeed(on(a, conf).With("DEL"))
	if rules := h.Sh("nft list ruleset"); strings.Count(rules, "veth") != 1 {
		t.Errorf("with one pod: %s", rules)
	}
	h.gc(conf, validKey(b))
	if err := b.Ping("10.1.0.1"); err != nil {
		t.Error(err)
	}
	h.gc(conf, `"cni.dev/valid-attachments":[]`)
	cnihost.Same(t, "rules", h.Sh("nft list ruleset"), "")

	// The configuration need not say any more what it said, nor the rules be there.
	h.Succeed(on(a, conf).With("ADD"))
	h.Succeed(on(a, h.conf(`"isGateway":true`, ranges4)).With("DEL"))
	cnihost.Same(t, "rules after a DEL without macspoofchk", h.Sh("nft list ruleset"), "")
	h.Succeed(on(a, conf).With("ADD"))
	h.Must("nft", "flush table bridge nat; delete chain bridge nat PREROUTING")
	h.Succeed(on(a, conf).With("DEL"))
	cnihost.Same(t, "rules after a DEL without its chain", h.Sh("nft list ruleset"), "")
}

// Either plugin removes the rules that the other has made, and passes its pods in CHECK. What
// somebody else has in the table stays.
func TestMACSpoofCheckOfTheReference(t *testing.T) {
	theirs, ours := cnihost.Reference(t), lab.Program("cni")
	h := newHost(t)
	h.Must("nft", "add table bridge nat; add chain bridge nat THEIRS")
	before := h.Sh("nft list ruleset")
	conf := h.conf(`"isGateway":true,"macspoofchk":true`, ranges4)
	for _, path := range [][2]string{{theirs, ours}, {ours, theirs}} {
		a := h.NewPod("a" + path[0][len(path[0])-3:])
		by := func(path string) cnihost.Call { c := on(a, conf); c.Path = path; return c }
		result := h.Succeed(by(path[0]).With("ADD"))
		if err := h.check(by(ours), result); err != nil {
			t.Error(err)
		}
		if err := a.Ping("10.1.0.1"); err != nil {
			t.Error(err)
		}
		h.Succeed(by(path[1]).With("DEL"))
		if rules := h.Sh("nft list ruleset"); strings.Contains(rules, a.ID) {
			t.Errorf("rules after a DEL by the other: %s", rules)
		}
	}
	b := h.NewPod("b")
	c := on(b, conf)
	c.Path = theirs
	h.Succeed(c.With("ADD"))
	h.gc(conf, validKey(b))
	if rules := h.Sh("nft list ruleset"); !strings.Contains(rules, b.ID) {
		t.Errorf("rules after a GC of nothing: %s", rules)
	}
	h.gc(conf, `"cni.dev/valid-attachments":[]`)
	if rules := h.Sh("nft list ruleset"); strings.Contains(rules, b.ID) || !strings.Contains(rules, "THEIRS") {
		t.Errorf("rules after a GC: %s, before %s", rules, before)
	}
}
