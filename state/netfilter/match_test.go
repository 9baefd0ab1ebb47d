package netfilter

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/netlink"
)

// addElement adds one. Those that are there fail the batch: EEXIST.
func (b *Batch) addElement(s Set, e Element) {
	b.add(unix.NFT_MSG_NEWSETELEM, unix.NLM_F_CREATE|unix.NLM_F_EXCL, s.Family, s.list(func(m *netlink.Message) {
		e.keys(m)
		if len(e.Data) > 0 {
			m.Nest(unix.NFTA_SET_ELEM_DATA, value(e.Data))
		}
		m.Bytes(unix.NFTA_SET_ELEM_USERDATA, userData(udComment, e.Comment))
	}), "add an element of %s to %s", e.Comment, s.Name)
}

// What a rule written in nft's words matches is read, and the same rule made of expressions is
// listed in these words.
func TestMatch(t *testing.T) {
	c := dial(t)
	to := netip.MustParseAddrPort("10.1.0.2:80")
	source, odd := netip.MustParsePrefix("10.1.0.0/24"), netip.MustParsePrefix("10.1.0.0/22")
	for words, x := range map[string]*Expressions{
		"ip daddr 192.0.2.1 tcp dport 8080 dnat to 10.1.0.2:80":  new(Expressions).Destination(netip.MustParsePrefix("192.0.2.1/32")).Protocol(6).Port(8080).DNAT(netlink.IPv4, to),
		"ip daddr != 127.0.0.1 udp dport 53 dnat to 10.1.0.2:80": new(Expressions).NotDestination(netip.MustParsePrefix("127.0.0.1/32")).Protocol(17).Port(53).DNAT(netlink.IPv4, to),
		"ip saddr 10.1.0.0/24 ip daddr 10.1.0.0/22 return":       new(Expressions).Source(source).Destination(odd).Return(),
		"fib daddr type local jump other":                        new(Expressions).Local().JumpTo("other"),
		"meta l4proto sctp ct original proto-dst 99 goto other":  new(Expressions).Protocol(132).Original(99).GoTo("other"),
		`iifname "veth12345678901" drop`:                         new(Expressions).Interface("veth12345678901").Drop(),
	} {
		if err := Script("add table ip m\nadd chain ip m other\nadd chain ip m c { type nat hook prerouting priority -100; }\nadd rule ip m c " + words); err != nil {
			t.Fatal(words, err)
		}
		chain := Chain{netlink.IPv4, "m", "c"}
		var b Batch
		b.AddRule(chain, x, "", "a tag")
		if err := c.Commit(&b); err != nil {
			t.Fatal(words, err)
		}
		if listed := sh(t, "nft list chain ip m c"); strings.Count(listed, "\t\t"+words+"\n") != 2 {
			t.Errorf("%s is listed as\n%s", words, listed)
		}
		rules, err := c.Rules(chain)
		if err != nil || len(rules) != 2 || rules[0].Match != rules[1].Match || rules[0].Jump != rules[1].Jump || rules[0].Tag != "" || rules[1].Tag != "a tag" {
			t.Errorf("%s: %+v %v", words, rules, err)
		} else if got := parseSpec("c " + inIPTables(words)).Match; strings.Contains(words, "ip daddr 192") && got != rules[0].Match {
			t.Errorf("%s: iptables-save's is read as %+v, want %+v", words, got, rules[0].Match)
		}
		sh(t, "nft delete table ip m")
	}
}

// inIPTables is a rule of nft's in the words of iptables-save.
func inIPTables(words string) string {
	return strings.NewReplacer("ip daddr 192.0.2.1", "-d 192.0.2.1/32", "tcp dport", "-p tcp -m tcp --dport", "dnat to", "-j DNAT --to-destination").Replace(words)
}

// Rules that are written over netlink are the ones that iptables itself writes of the same words,
// for it and whoever deletes them.
func TestAppend(t *testing.T) {
	for family, program := range map[netlink.Family]string{netlink.IPv4: "iptables-nft", netlink.IPv6: "ip6tables-nft"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
		source, within, except := "10.1.0.2/32", "10.1.0.0/24", "224.0.0.0/4"
		if family == netlink.IPv6 {
			source, within, except = "fd00:1::2/128", "fd00:1::/64", "ff00::/8"
		}
		rules := []NATRule{
			{Chain: "MINE", Destination: netip.MustParsePrefix(within), Comment: `name: "net" id: "c"`, Target: Accept},
			{Chain: "MINE", Except: netip.MustParsePrefix(except), Comment: `name: "net" id: "c"`, Target: Masquerade},
			{Chain: "POSTROUTING", Source: netip.MustParsePrefix(source), Comment: `name: "net" id: "c"`, Target: "MINE"},
		}
		c := dial(t)
		nat := c.IPTables(family, "nat")
		nat.legacy = func() (bool, error) { return false, nil }
		listed := func() string { return sh(t, program+"-save -t nat | grep -v '^[#:]'") }
		var saved []string
		for range 2 { // the first time with iptables, which makes the base chains
			if err := nat.Append([]string{"MINE"}, rules); err != nil {
				t.Fatal(err)
			}
			saved = append(saved, listed())
			sh(t, program+" -t nat -D POSTROUTING -s "+source+` -j MINE -m comment --comment 'name: "net" id: "c"'`)
			sh(t, program+" -t nat -F MINE && "+program+" -t nat -X MINE")
		}
		if saved[0] != saved[1] || !strings.Contains(saved[0], "MASQUERADE") {
			t.Errorf("%s: by iptables\n%sover netlink\n%s", program, saved[0], saved[1])
		}
	}
}

// A batch that is larger than the socket's buffer comes true in parts.
func TestCommitInParts(t *testing.T) {
	c := dial(t)
	if err := Script("add table ip m\nadd chain ip m c"); err != nil {
		t.Fatal(err)
	}
	defer sh(t, "nft delete table ip m")
	c.SetWriteBuffer(8192)
	var b Batch
	const n = 1000
	for i := range n {
		b.AddRule(Chain{netlink.IPv4, "m", "c"}, new(Expressions).Protocol(6).Port(uint16(i)).Return(), fmt.Sprint("rule ", i), "")
	}
	if err := c.Commit(&b); err != nil {
		t.Fatal(err)
	}
	rules, err := c.Rules(Chain{netlink.IPv4, "m", "c"})
	if err != nil || len(rules) != n || rules[n-1].Comment != fmt.Sprint("rule ", n-1) {
		t.Errorf("%d rules, %v", len(rules), err)
	}
}
