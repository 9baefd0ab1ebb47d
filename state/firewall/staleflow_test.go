package firewall

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter"
)

func tuple(src, dst string) netfilter.Tuple {
	return netfilter.Tuple{Src: netip.MustParseAddr(src), Dst: netip.AddrPortFrom(netip.MustParseAddr(dst), 0)}
}

// TestMissed judges connections by the rules of a masquerade chain.
func TestMissed(t *testing.T) {
	rules := "! -s 10.42.1.0/24 -j RETURN\n-d 10.42.0.0/16 -j RETURN\n-d 192.0.2.0/24 -j RETURN\n-d 224.0.0.0/4 -j RETURN\n-j MASQUERADE --random-fully"
	all := masqueradingOf(state.Chain{Family: 4, Table: "nat", Rules: rules})
	nft := masqueradingOf(state.Chain{Table: state.OwnTable, Hook: "nat hook postrouting priority 100", Rules: "ip saddr != 10.42.1.0/24 return\n" +
		"ip daddr 10.42.0.0/16 return\nip daddr 192.0.2.0/24 return\nip daddr 224.0.0.0/4 return\nmeta nfproto ipv4 masquerade fully-random\n" +
		"ip6 saddr != fd00::/64 return\nmeta nfproto ipv6 return\nmeta nfproto ipv6 masquerade fully-random"})
	if len(all) != 1 || !reflect.DeepEqual(all, nft) {
		t.Fatalf("podnet's own rules are not understood: %+v, %+v", all, nft)
	}
	m := all[0]
	for _, c := range []struct {
		what             string
		src, dst, by, as string // dst is translated to by, and src to as
		answered         bool
		want             bool
	}{
		{"outside, unanswered", "10.42.1.5", "198.18.0.9", "198.18.0.9", "10.42.1.5", false, true},
		{"answered", "10.42.1.5", "198.18.0.9", "198.18.0.9", "10.42.1.5", true, false},
		{"masqueraded", "10.42.1.5", "198.18.0.9", "198.18.0.9", "198.18.0.1", false, false},
		{"another node's pod", "10.42.2.5", "198.18.0.9", "198.18.0.9", "10.42.2.5", false, false},
		{"to a pod", "10.42.1.5", "10.42.2.5", "10.42.2.5", "10.42.1.5", false, false},
		{"to a spared range", "10.42.1.5", "192.0.2.9", "192.0.2.9", "10.42.1.5", false, false},
		{"multicast", "10.42.1.5", "224.0.0.251", "224.0.0.251", "10.42.1.5", false, false},
		{"a service of a pod's", "10.42.1.5", "172.16.0.10", "10.42.2.5", "10.42.1.5", false, false},
		{"a service of somebody outside", "10.42.1.5", "172.16.0.10", "198.18.0.9", "10.42.1.5", false, true},
	} {
		f := netfilter.Flow{Orig: tuple(c.src, c.dst), Reply: tuple(c.by, c.as), Answered: c.answered}
		if got := m.missed(f); got != c.want {
			t.Errorf("%s: missed is %v", c.what, got)
		}
	}
	for _, other := range []state.Chain{{Table: "filter", Rules: rules}, {Table: "nat"}, {Table: "nat", Rules: "! -s 10.42.1.0/24 -j RETURN\n-j RETURN\n-j MASQUERADE --random-fully"}} {
		if all := masqueradingOf(other); len(all) > 0 {
			t.Errorf("%+v masquerades %+v", other, all)
		}
	}
}
