package netfilter

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/podnet/podnet/state/netlink"
)

// knownWords are all words that rules can have, in the tables that can have them.
func knownWords() map[netlink.Family][]string {
	return map[netlink.Family][]string{
		Inet: {
			`iifname "cni0" ip daddr 127.0.0.0/8 drop`,
			`iifname "cni0" fib saddr . iif oif missing drop`,
			`oifname != "cni0" ip saddr != 10.244.0.0/24 return`,
			`ip saddr 10.244.0.128/25 ip daddr 10.0.0.0/9 accept`,
			`ip6 saddr fd00::/64 ip6 daddr != fd00::/48 return`,
			`ip6 daddr 2001:db8::1 accept`,
			`meta nfproto ipv4 masquerade fully-random`,
			`meta nfproto ipv6 masquerade fully-random`,
			`udp dport 8472 @th,96,24 0x1 accept`,
			`udp dport 8472 @th,96,24 0xffffff drop`,
			`ip saddr @four ip daddr 192.0.2.11 iifname != "cni0" return`,
			`ip6 saddr != @six drop`,
			`icmpv6 type nd-router-advert drop`,
			`drop`,
		},
		netlink.IPv4: {`ip saddr 10.244.0.0/24 ip daddr 192.0.2.0/24 accept`, `udp dport 53 return`},
		netlink.IPv6: {`ip6 saddr fd00::/64 accept`},
		Bridge: {
			`iifgroup 7201 icmpv6 type nd-router-advert drop`,
			`oifgroup 7201 ip6 saddr fe80::/10 drop`,
			`ip saddr 10.244.0.2 accept`,
			`iifgroup != 7201 accept`,
			`iifname . ether saddr . ip saddr @four accept`,
			`iifname . arp saddr ether . arp saddr ip != @four drop`,
			`iifname . ether saddr . arp saddr ip @four return`,
			`iifname . ether saddr . ip6 saddr != @six drop`,
			`icmpv6 type nd-neighbor-advert iifname . ether saddr . @th,64,128 != @six drop`,
			`icmpv6 type nd-neighbor-solicit ip6 saddr :: iifname . ether saddr . @th,64,128 != @six drop`,
			`icmpv6 type mld-listener-report accept`,
			`icmpv6 type mld-listener-done accept`,
			`icmpv6 type mld2-listener-report accept`,
		},
	}
}

// What is written in words is read back as the same words, and nft lists it in the same words.
func TestWords(t *testing.T) {
	c := dial(t)
	for family, rules := range knownWords() {
		name := map[netlink.Family]string{Inet: "inet", netlink.IPv4: "ip", netlink.IPv6: "ip6", Bridge: "bridge"}[family]
		chain := Chain{family, "words", "c"}
		var b Batch
		b.WakeTable(family, "words")
		if family == Inet {
			sh(t, "nft 'add table inet words; add set inet words four { type ipv4_addr; }; add set inet words six { type ipv6_addr; }'")
		}
		if family == Bridge {
			b.KeepSet(Set{family, "words", "four"}, SenderKey(netlink.IPv4))
			b.KeepSet(Set{family, "words", "six"}, SenderKey(netlink.IPv6))
		}
		hook := Hook{"filter", 0, 0}
		if slices.Contains(rules, `meta nfproto ipv4 masquerade fully-random`) {
			hook = SNAT
			rules = slices.DeleteFunc(slices.Clone(rules), func(r string) bool { return strings.Contains(r, "fib") })
		}
		b.AddBaseChain(chain, hook)
		for _, r := range rules {
			if err := b.AddWords(chain, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Commit(&b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if d := cmp.Diff(rules, readWords(t, c, chain)); d != "" {
			t.Errorf("%s, -written +read:\n%s", name, d)
		}
		listed := sh(t, "nft list chain "+name+" words c")
		for _, r := range rules {
			if !strings.Contains(listed, "\t"+r+"\n") {
				t.Errorf("nft has no %q in\n%s", r, listed)
			}
		}
		sh(t, "nft delete table "+name+" words")
	}
}

// A rule that looks for the way back is for a chain of filters.
func TestWordsOfTheWayBack(t *testing.T) {
	c := dial(t)
	chain := Chain{Inet, "words", "c"}
	rules := []string{`iifname "cni0" fib saddr . iif oif missing drop`}
	var b Batch
	b.WakeTable(Inet, "words")
	b.AddBaseChain(chain, Hook{"filter", 0, -300})
	if err := b.AddWords(chain, rules[0]); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table inet words")
	if listed := sh(t, "nft list chain inet words c"); !strings.Contains(listed, rules[0]) {
		t.Error(listed)
	}
	if d := cmp.Diff(rules, readWords(t, c, chain)); d != "" {
		t.Error(d)
	}
}

func readWords(t *testing.T, c *Conn, chain Chain) []string {
	t.Helper()
	table, found, err := c.ReadTable(chain.Family, chain.Table)
	if err != nil || !found {
		t.Fatal(err, found)
	}
	for _, have := range table.Chains {
		if have.Name == chain.Name {
			return have.Rules
		}
	}
	t.Fatalf("no chain %s in %v", chain.Name, table)
	return nil
}

// A rule counts as what it does, not as what somebody left in it.
func TestWordsOfOthersRules(t *testing.T) {
	c := dial(t)
	chain := Chain{Inet, "words", "c"}
	var b Batch
	b.WakeTable(Inet, "words")
	b.AddChain(chain)
	if err := b.AddWords(chain, "ip saddr 10.0.0.0/8 drop"); err != nil {
		t.Fatal(err)
	}
	x, err := ParseWords(Inet, "ip saddr 10.0.0.0/9 drop")
	if err != nil {
		t.Fatal(err)
	}
	b.AddRule(chain, x, "", "ip saddr 10.0.0.0/8 drop")
	x, err = ParseWords(Inet, "ip saddr 10.0.0.0/8")
	if err != nil {
		t.Fatal(err)
	}
	b.AddRule(chain, x, "", "ip saddr 10.0.0.0/8 drop")
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table inet words")
	sh(t, "nft add rule inet words c ip saddr 10.0.0.0/8 drop comment 'mine'")
	got := readWords(t, c, chain)
	if len(got) != 4 || got[0] != "ip saddr 10.0.0.0/8 drop" {
		t.Fatalf("%q", got)
	}
	for _, other := range got[1:] {
		if !strings.HasPrefix(other, "handle ") {
			t.Errorf("%q counts as podnet's", other)
		}
	}
	sh(t, "nft 'add table inet words { flags dormant; }'")
	if table, _, err := c.ReadTable(Inet, "words"); err != nil || !table.Dormant {
		t.Errorf("%v %v: not dormant", table, err)
	}
	var wake Batch
	wake.WakeTable(Inet, "words")
	if err := c.Commit(&wake); err != nil {
		t.Fatal(err)
	}
	if table, _, err := c.ReadTable(Inet, "words"); err != nil || table.Dormant {
		t.Errorf("%v %v: still dormant", table, err)
	}
}

func TestNoWords(t *testing.T) {
	for _, text := range []string{"ip saddr", "ip saddr 10.0.0.0/0 drop", "ip saddr fd00::/64 drop", "udp dport x", "jump",
		"tcp dport 80 drop", "@th,3,8 1", "@th,96,24 0x1ffffff", "iifname 1234567890123456 drop", "meta mark 1",
		"iifname . ether daddr @set drop", "iifname . ether saddr . ip saddr 10.0.0.1 drop", "icmpv6 type echo-request drop"} {
		if _, err := ParseWords(Inet, text); err == nil {
			t.Errorf("%q passes", text)
		} else if !strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// The senders that are written to a set are those that it is found to have, and those that nft lists.
func TestSenders(t *testing.T) {
	c := dial(t)
	set4, set6 := Set{Bridge, "words", "four"}, Set{Bridge, "words", "six"}
	mac := [6]byte{2, 0, 0, 0, 0, 7}
	four := Sender{"veth0123456789a", mac, netip.MustParseAddr("10.244.0.7")}
	six := Sender{"v", mac, netip.MustParseAddr("fd00::7")}
	var b Batch
	b.WakeTable(Bridge, "words")
	b.KeepSet(set4, SenderKey(netlink.IPv4))
	b.KeepSet(set6, SenderKey(netlink.IPv6))
	for range 2 { // one that is there is no error
		b.AddKeys(set4, [][]byte{four.Key()}, 0)
		b.AddKeys(set6, [][]byte{six.Key()}, 0)
	}
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table bridge words")
	for set, want := range map[Set]Sender{set4: four, set6: six} {
		elements, err := c.Elements(set)
		if err != nil || len(elements) != 1 {
			t.Fatal(elements, err)
		}
		if got, ok := ParseSender(elements[0].Key); !ok || got != want {
			t.Errorf("%+v, %v; want %+v", got, ok, want)
		}
		if listed, words := sh(t, "nft list set bridge words "+set.Name),
			fmt.Sprintf("%q . 02:00:00:00:00:07 . %s ", want.Device, want.Addr); !strings.Contains(listed, words) {
			t.Errorf("nft does not list %s:\n%s", words, listed)
		}
	}
}
