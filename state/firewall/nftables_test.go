package firewall

import (
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/nftables"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// wanted is a node's desired set as far as packet filters are concerned.
func wanted(tunnel string) *state.Set {
	want := new(state.Set)
	want.Links.Add(state.Link{Device: "cni0", Type: "bridge"}, state.OwnNode)
	want.Links.Add(state.Link{Device: "podnet.1", Type: "vxlan", Port: 8472, Local: netip.MustParseAddr(tunnel)}, state.OwnNode)
	for _, a := range []string{"10.244.0.1/24", "fd00::1/64"} {
		want.Addrs.Add(state.Addr{Device: "cni0", Prefix: netip.MustParsePrefix(a)}, state.OwnNode)
	}
	for _, a := range []string{"192.0.2.12", "192.0.2.13", "192.0.2.20"} {
		want.FDB.Add(state.FDB{Device: "podnet.1", Dst: netip.MustParseAddr(a)}, 0)
	}
	return want
}

// A base chain of nftables that surely drops what podnet accepts is a conflict, and its remedy,
// pasted, ends it; one that may let it through is none.
func TestForeignFilters(t *testing.T) {
	l := lab.New(t)
	h := l.Node("node-a")
	const head = "add table inet t; add chain inet t c { type filter hook %h priority 0; policy %p; }; "
	const firewalld = `add chain inet t zones; add chain inet t public; add chain inet t allow; add rule inet t c ct state established,related accept;
add rule inet t c ct status dnat accept; add rule inet t c iifname "lo" accept; add rule inet t c ip6 daddr { ::/96, ::ffff:0.0.0.0/96 } log reject;
add rule inet t c jump zones; add rule inet t zones iifname "eth0" goto public; add rule inet t zones goto public;
add rule inet t public jump allow; add rule inet t public meta l4proto { icmp, ipv6-icmp } accept; add rule inet t allow tcp dport 22 ct state new accept;
add rule inet t allow oifname "eth0" accept; add rule inet t c ct state invalid drop; add rule inet t c reject with icmpx type admin-prohibited;`
	for _, c := range []struct {
		name, hook, policy, rules string
		conflict                  bool
	}{
		{"drops all that is forwarded", "forward", "drop", "", true},
		{"accepts", "forward", "accept", "", false},
		{"ends in a reject", "forward", "accept", "add rule inet t c counter reject", true},
		{"accepts what is on the bridge only in one direction", "forward", "drop", `add rule inet t c iifname "cni0" accept`, true},
		{"accepts both directions", "forward", "drop", `add rule inet t c iifname "cni*" accept; add rule inet t c oifname "cni0" accept`, false},
		{"accepts one family", "forward", "drop", `add rule inet t c meta nfproto ipv6 accept`, true},
		{"accepts by addresses that may be the pods'", "forward", "drop", `add rule inet t c ip saddr 10.0.0.0/8 accept; add rule inet t c ip6 saddr fd00::/8 accept`, false},
		{"drops what other links send", "forward", "accept", `add rule inet t c iifname != "cni0" iifname != "podnet.1" drop`, false},
		{"like firewalld's, for what is forwarded", "forward", "accept", firewalld, true},
		{"like firewalld's, for the host", "input", "accept", firewalld, true},
		{"lets the port in", "input", "drop", "add rule inet t c udp dport 8472 accept", false},
		{"lets ports in", "input", "drop", "add rule inet t c udp dport 8000-9000 accept", false},
		{"lets another port in", "input", "drop", "add rule inet t c udp dport 8473 accept", true},
		{"lets the port in over IPv6", "input", "drop", "add rule inet t c meta nfproto ipv6 udp dport 8472 accept", true},
		{"lets the nodes in", "input", "drop", "add rule inet t c ip saddr 192.0.2.0/24 accept", false},
		{"lets others in", "input", "drop", "add rule inet t c ip saddr 198.51.100.0/24 accept", true},
		{"lets a set in", "input", "drop", "add rule inet t c ip saddr { 192.0.2.12, 192.0.2.13 } udp dport 8472 accept", false},
		{"lets all in but some protocols", "input", "drop", "add rule inet t c meta l4proto != { tcp, icmp } accept", false},
		{"lets some protocols in", "input", "drop", "add rule inet t c meta l4proto { tcp, icmp } accept", true},
		{"jumps and comes back", "input", "accept", "add chain inet t d; add rule inet t c jump d; add rule inet t c drop; add rule inet t d return", true},
		{"accepts by two links at once", "forward", "drop", `add rule inet t c iifname . oifname { "cni0" . "podnet.1", "podnet.1" . "cni0" } accept`, false},
		{"accepts by a set of links", "forward", "drop", `add rule inet t c iifname { "cni0", "podnet.1" } accept`, false},
		{"accepts by a set of other links", "forward", "drop", `add rule inet t c iifname { "eth0", "podnet.1" } accept`, true},
		{"accepts by a set of ports", "input", "drop", "add set inet t open { type inet_service; elements = { 22, 8472 }; }; add rule inet t c udp dport @open accept", false},
		{"accepts by a set of other ports", "input", "drop", "add set inet t open { type inet_service; elements = { 22, 8473 }; }; add rule inet t c udp dport @open accept", true},
		{"decides by a map", "input", "drop", "add rule inet t c udp dport vmap { 8472 : accept, 53 : drop }", false},
		{"drops connections that are not new", "input", "accept", "add rule inet t c ct state established drop", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if _, err := h.Exec("nft", "delete", "table", "inet", "t"); err != nil {
					t.Error(err)
				}
			}()
			ruleset := strings.NewReplacer("%h", c.hook, "%p", c.policy).Replace(head) + c.rules
			for _, line := range strings.Split(ruleset, ";\n") {
				h.Must("nft", line)
			}
			found := filtersOf(t, h)
			if (len(found) == 1) != c.conflict {
				t.Fatalf("conflicts %+v", found)
			}
			if !c.conflict {
				return
			}
			if found[0].Object() != "inet t c" || found[0].Blocks || !strings.Contains(found[0].Owner, "drops") {
				t.Errorf("conflict %+v", found[0])
			}
			h.Must("sh", "-c", found[0].Remedy)
			if left := filtersOf(t, h); len(left) > 0 {
				t.Errorf("after %s: %+v", found[0].Remedy, left)
			}
		})
	}
}

// filtersOf reads the node twice: once anew, once from what is known of the generation.
func filtersOf(t *testing.T, h *lab.Node) (found []state.Conflict) {
	t.Helper()
	err := h.Do(func() error {
		n := open(t)
		for range 2 {
			generation, known := n.Generation()
			bases, err := n.foreignChains(false, generation, known)
			if err != nil {
				return err
			}
			found = foreignFilters(bases, TrafficOf(wanted("192.0.2.11")))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A conflict reads the same in every pass, or it would look like news.
func TestForeignFilterReadsTheSame(t *testing.T) {
	drops := []baseChain{{family: nftables.TableFamilyINet, table: "t", name: "c", drops: true}}
	for range 50 {
		found := foreignFilters(drops, TrafficOf(wanted("192.0.2.11")))
		if len(found) != 1 || found[0].Owner != "of nftables, drops what pods send to other nodes" {
			t.Fatalf("conflicts %+v", found)
		}
	}
}

// A daemon's pass asks for the rules only when they have changed.
func TestFiltersReadOnceAGeneration(t *testing.T) {
	h := lab.New(t).Node("node-a")
	err := h.Do(func() error {
		n := open(t)
		read := func() []baseChain {
			generation, known := n.Generation()
			all, err := n.foreignChains(false, generation, known)
			if err != nil {
				t.Error(err)
			}
			return all
		}
		read()
		n.bases.all = nil // seen again only if it is read again
		if again := read(); len(again) > 0 {
			t.Errorf("read again without a change: %v", again)
		}
		if out, err := exec.Command("nft", "add table ip more").CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if again := read(); len(again) == 0 {
			t.Error("not read again after a change")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A dump that has an element twice lacks another.
func TestTorn(t *testing.T) {
	a, b := nftables.SetElement{Key: []byte{1}}, nftables.SetElement{Key: []byte{2}}
	if torn(nil) || torn([]nftables.SetElement{a, b}) || !torn([]nftables.SetElement{a, b, a}) {
		t.Error("whole and torn dumps are taken for each other")
	}
}
