package state

import (
	"net/netip"
	"testing"
)

// Both filters have each rule in words of their own, which are read back as the same rule.
func TestRule(t *testing.T) {
	p := netip.MustParsePrefix
	for _, c := range []struct {
		rule          Rule
		family        uint8
		iptables, nft string
	}{
		{Rule{NotSource: p("10.244.0.0/24"), Verdict: Return}, 4, "! -s 10.244.0.0/24 -j RETURN", "ip saddr != 10.244.0.0/24 return"},
		{Rule{Destination: p("fd00::/48"), Verdict: Return}, 6, "-d fd00::/48 -j RETURN", "ip6 daddr fd00::/48 return"},
		{Rule{Destination: p("192.0.2.1/32"), Verdict: Return}, 4, "-d 192.0.2.1/32 -j RETURN", "ip daddr 192.0.2.1 return"},
		{Rule{Verdict: Masquerade}, 6, "-j MASQUERADE --random-fully", "meta nfproto ipv6 masquerade fully-random"},
		{Rule{Source: p("10.244.0.0/24"), In: "cni0"}, 4, "-s 10.244.0.0/24 -i cni0 -j ACCEPT", `iifname "cni0" ip saddr 10.244.0.0/24 accept`},
		{Rule{Destination: p("fd00::/64"), Out: "cni0"}, 6, "-d fd00::/64 -o cni0 -j ACCEPT", `oifname "cni0" ip6 daddr fd00::/64 accept`},
	} {
		if got := c.rule.IPTables(); got != c.iptables {
			t.Errorf("iptables: %q, want %q", got, c.iptables)
		}
		if got := c.rule.NFT(c.family); got != c.nft {
			t.Errorf("nft: %q, want %q", got, c.nft)
		}
		for _, text := range []string{c.iptables, c.nft} {
			if got, ok := ParseRule(text); !ok || got != c.rule {
				t.Errorf("%q is read as %+v, %v", text, got, ok)
			}
		}
	}
	everything := Rule{Destination: p("0.0.0.0/0"), Verdict: Return}
	if ip, nft := everything.IPTables(), everything.NFT(4); ip != "-j RETURN" || nft != "meta nfproto ipv4 return" {
		t.Errorf("%q, %q", ip, nft)
	}
	for _, text := range []string{"", "! -d 10.0.0.0/8 -j RETURN", "-p tcp -j ACCEPT", "ip saddr @set drop", "handle 7", "-j", "-s x -j ACCEPT"} {
		if r, ok := ParseRule(text); ok {
			t.Errorf("%q is read as %+v", text, r)
		}
	}
}
