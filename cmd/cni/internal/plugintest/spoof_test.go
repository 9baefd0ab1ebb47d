package plugintest

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/state/device"
)

// With macspoofchk a pod can send from its own MAC address only, and nothing is left of that after it.
func TestMACSpoofCheck(t *testing.T) {
	h := newHost(t)
	if out, err := h.Exec("nft", "add table bridge probe"); err != nil {
		t.Skipf("nftables' bridge family: %s %v", out, err)
	}
	h.Must("nft", "delete table bridge probe")
	conf := h.conf(`"isGateway":true,"macspoofchk":true`, ranges4)
	a, b := h.NewPod("a"), h.NewPod("b")
	result := h.must(on(a, conf).with("ADD"))
	h.must(on(a, conf).with("ADD")) // an interrupted ADD, repeated
	h.must(on(b, conf).with("ADD"))
	if err := a.Ping("10.1.0.3"); err != nil {
		t.Error(err)
	}
	if err := h.check(on(b, conf), strings.ReplaceAll(result, "10.1.0.2", "10.1.0.3")); err == nil || !strings.Contains(err.Error(), "MAC address is") {
		t.Errorf("CHECK with another's MAC: %v", err)
	}

	table := strings.Fields(h.Sh("nft list tables bridge"))[2]
	result = h.must(on(a, conf).with("ADD"))
	if err := h.check(on(a, conf), result); err != nil {
		t.Error(err)
	}
	h.Must("nft", "delete element bridge "+table+" ports { "+device.VethName("net", a.ID, "eth0")+" }")
	wantFault(t, h.check(on(a, conf), result), 103, "macspoofchk lets it send from any address")
	result = h.must(on(a, conf).with("ADD"))

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
	h.must(on(a, conf).with("DEL"))
	if rules := h.Sh("nft list ruleset"); strings.Count(rules, "veth") != 2 {
		t.Errorf("with one pod: %s", rules)
	}
	h.gc(conf, validKey(b))
	if err := b.Ping("10.1.0.1"); err != nil {
		t.Error(err)
	}
	h.gc(conf, `"cni.dev/valid-attachments":[]`)
	same(t, "rules", h.Sh("nft list ruleset"), "")

	// The configuration need not say any more what it said, nor the rules be there.
	h.must(on(a, conf).with("ADD"))
	h.must(on(a, h.conf(`"isGateway":true`, ranges4)).with("DEL"))
	same(t, "rules after a DEL without macspoofchk", h.Sh("nft list ruleset"), "")
	h.must(on(a, conf).with("ADD"))
	h.Must("nft", "flush table bridge "+table+"; delete chain bridge "+table+" prerouting")
	h.must(on(a, conf).with("DEL"))
	same(t, "rules after a DEL without its chain", h.Sh("nft list ruleset"), "")
}
