package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/reconcile/document"
)

// native puts a rule of nftables' own into a chain of iptables'.
func (h host) native(rule string) {
	h.t.Helper()
	h.Must("nft", "add set ip filter bad { type ipv4_addr; elements = { 203.0.113.9 } }; add counter ip filter seen; "+rule)
}

// jumps counts the jumps to podnet's chain as the kernel has them.
func (h host) jumps(table, hook, chain string) int {
	return strings.Count(h.Must("nft", "list", "chain", "ip", table, hook), "jump "+chain)
}

// A rule that hides a table from iptables-save makes what is in it unknown, not empty: nothing is
// written there, however often, the rule is named by its handle, the rest is healed, and a teardown
// says what it leaves. The remedy ends it without deleting what the rule does.
func TestUnreadableTable(t *testing.T) {
	for _, c := range []struct {
		name, table, hook, chain, rule string
		moved                          string // part of the rule in its new place; "": it can only be shown
	}{
		{"a map of verdicts", "filter", "FORWARD", "PODNET-FORWARD", "insert rule ip filter INPUT ct state vmap { invalid : drop }", "invalid : drop"},
		{"a map that accepts", "filter", "FORWARD", "PODNET-FORWARD", "insert rule ip filter INPUT ct state vmap { established : accept }", ""},
		{"a named counter", "filter", "FORWARD", "PODNET-FORWARD", "add rule ip filter FORWARD counter name seen", ""},
		{"a field that iptables-save fails over", "filter", "FORWARD", "PODNET-FORWARD", "insert rule ip filter INPUT ip dscp 3 drop", "ip dscp 0x03 drop"},
		{"a key that iptables-save fails over", "filter", "FORWARD", "PODNET-FORWARD", "insert rule ip filter FORWARD meta cpu 77 drop", "meta cpu 77 drop"},
		{"in the table nat", "nat", "POSTROUTING", "PODNET-MASQUERADE",
			"insert rule ip nat POSTROUTING ip daddr 203.0.113.1 snat to ip saddr map { 198.51.100.1 : 192.0.2.11 }", "snat to"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := sound(t)
			h.native(c.rule)
			for range 2 {
				if got := h.run(1, "apply"); !strings.Contains(got.stdout, "not known, and left as it is: rule handle ") {
					t.Errorf("apply does not say it:\n%s", got.stdout)
				}
			}
			if n := h.jumps(c.table, c.hook, c.chain); n != 1 {
				t.Errorf("%d jumps, want 1", n)
			}
			h.Sh("ip6tables -F PODNET-FORWARD") // of the other family: healed all the same
			h.Sh("ip route del 10.244.1.0/24")
			h.run(1, "apply")
			if save := h.Must("ip6tables-save"); !strings.Contains(save, "-A PODNET-FORWARD") || h.Must("ip", "route", "show", "10.244.1.0/24") == "" {
				t.Errorf("the rest is not healed:\n%s", save)
			}
			if got := h.run(0, "teardown", "--dry-run"); !strings.Contains(got.stdout+got.stderr, c.chain) {
				t.Errorf("teardown --dry-run does not say what stays:\n%s%s", got.stdout, got.stderr)
			}
			var found []document.Finding
			for _, f := range h.examined(1) {
				if f.ID == "table-unreadable" {
					found = append(found, f)
				}
			}
			if len(found) != 1 || found[0].Object != "ip "+c.table || !strings.Contains(found[0].Owner, "rule handle ") {
				t.Fatalf("findings %+v", found)
			}
			t.Log(found[0].Owner, "\n", found[0].Remedy)
			h.paste(found[0].Remedy)
			if c.moved == "" { // whoever made it deletes it
				at := regexp.MustCompile(`rule handle (\d+) of chain (\w+)`).FindStringSubmatch(found[0].Owner)
				h.Must("nft", "delete", "rule", "ip", c.table, at[2], "handle", at[1])
				return
			}
			h.run(0, "apply")
			if moved := h.Must("nft", "list", "table", "ip", "moved"); !strings.Contains(moved, c.moved) {
				t.Errorf("the rule is not in its new place:\n%s", moved)
			}
		})
	}
}

// A rule that iptables-save shows without its set is about what is in the set: it is in nobody's
// way, and no remedy deletes it.
func TestRuleWithASet(t *testing.T) {
	for _, rule := range []string{
		"insert rule ip filter FORWARD ip saddr @bad drop", "insert rule ip filter INPUT ip saddr @bad drop",
		"insert rule ip filter FORWARD ip saddr { 203.0.113.7, 203.0.113.8 } drop", "insert rule ip filter INPUT iifname { a, b } drop",
		"insert rule ip filter FORWARD ip saddr . ip daddr { 203.0.113.7 . 203.0.113.8 } counter drop",
		"insert rule ip filter FORWARD ip protocol vmap { tcp : drop }",
	} {
		t.Run(rule, func(t *testing.T) {
			h := sound(t)
			h.native(rule)
			if found := h.examined(0); slices.ContainsFunc(found, func(f document.Finding) bool { return f.ID != "input-open" }) {
				t.Errorf("found %+v", found)
			}
			h.run(0, "apply")
		})
	}
}

// A teardown that cannot see a table says which chains stay, and is not done.
func TestTeardownOfAnUnreadableTable(t *testing.T) {
	h := sound(t)
	h.native("insert rule ip filter INPUT ct state vmap { invalid : drop }")
	got := h.run(1, "teardown", "--force")
	if !strings.Contains(got.stdout+got.stderr, "PODNET-FORWARD (ipv4 filter) and the jumps to it stay") {
		t.Errorf("it does not say what stays:\n%s%s", got.stdout, got.stderr)
	}
	if links := h.Must("ip", "link", "show", "group", "7200"); links != "" {
		t.Errorf("left: %s", links)
	}
	h.Must("nft", "flush", "chain", "ip", "filter", "INPUT")
	h.run(0, "teardown", "--force")
	if left := h.Must("nft", "list", "ruleset"); strings.Contains(left, "PODNET-") {
		t.Errorf("left behind:\n%s", left)
	}
}
