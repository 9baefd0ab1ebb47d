package ipam

import (
	"fmt"
	"net/netip"
	"testing"
)

func TestPrefixes(t *testing.T) {
	for _, c := range []struct{ subnet, first, last, want string }{
		{"10.0.0.0/24", "", "", "[10.0.0.0/24]"},
		{"10.0.0.0/24", "10.0.0.2", "", "[10.0.0.2/31 10.0.0.4/30 10.0.0.8/29 10.0.0.16/28 10.0.0.32/27 10.0.0.64/26 10.0.0.128/26 10.0.0.192/27 10.0.0.224/28 10.0.0.240/29 10.0.0.248/30 10.0.0.252/31 10.0.0.254/32]"},
		{"10.0.0.0/24", "10.0.0.128", "10.0.0.255", "[10.0.0.128/25]"},
		{"10.0.0.0/24", "10.0.0.5", "10.0.0.5", "[10.0.0.5/32]"},
		{"fd00::/64", "", "", "[fd00::/64]"},
		{"fd00::/64", "fd00::1:0", "fd00::1:ffff", "[fd00::1:0/112]"},
		{"255.255.255.0/24", "255.255.255.254", "255.255.255.255", "[255.255.255.254/31]"},
	} {
		r := Range{Subnet: netip.MustParsePrefix(c.subnet)}
		if c.first != "" {
			r.First = netip.MustParseAddr(c.first)
		}
		if c.last != "" {
			r.Last = netip.MustParseAddr(c.last)
		}
		n, err := r.normalize()
		if err != nil {
			t.Fatal(err)
		}
		check(t, fmt.Sprint(n.Prefixes()), c.want)
	}
}
