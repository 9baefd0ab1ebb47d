package verdict

import "testing"

// TestRefine has nft tell what iptables-save leaves out: that a rule compares with a set, a table
// that is not its own any more, a chain of another name.
func TestRefine(t *testing.T) {
	const tables = `{"nftables": [
		{"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "handle": 1, "type": "filter", "hook": "forward", "prio": 0, "policy": "accept"}},
		{"rule": {"family": "ip", "table": "filter", "chain": "FORWARD", "handle": 7, "expr": [
			{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "@bad"}}, {"drop": null}]}},
		{"chain": {"family": "ip", "table": "raw", "name": "mine", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -300, "policy": "drop"}},
		{"chain": {"family": "ip6", "table": "raw", "name": "mine", "handle": 1, "type": "filter", "hook": "prerouting", "prio": -300, "policy": "drop"}}]}`
	save := Parse("*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD -j DROP\nCOMMIT\n", "iptables")
	if got := what(save.Walk(Forward, pods)); got != "drops at filter FORWARD rule 1: -j DROP" {
		t.Fatal(got)
	}
	nft, err := ParseNFT([]byte(tables), Selection{Family: "ip", Own: "podnet"})
	if err != nil {
		t.Fatal(err)
	}
	if got := what(nft.Walk(Forward, pods)); got != "passes" {
		t.Errorf("iptables' own chain is gone through twice: %s", got)
	}
	save.Refine(nft, "ip")
	v := save.Walk(Forward, pods)
	if got := what(v); got != "may drop at filter FORWARD rule 1: saddr @bad drop" || v.Remedy != "nft delete rule ip filter FORWARD handle 7" {
		t.Errorf("%s, remedy %s", got, v.Remedy)
	}
	if got := what(nft.Walk(Prerouting, pods)); got != "drops at ip raw mine: its policy drops" {
		t.Error(got)
	}
}
