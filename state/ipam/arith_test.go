package ipam

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// set makes a normalized set of "subnet", "subnet first-last" or "subnet first-last gateway".
func set(t testing.TB, ranges ...string) Set {
	t.Helper()
	var s Set
	for _, text := range ranges {
		words := strings.Fields(text)
		r := Range{Subnet: netip.MustParsePrefix(words[0])}
		if len(words) > 1 {
			first, last, _ := strings.Cut(words[1], "-")
			r.First, r.Last = addr(first), addr(last)
		}
		if len(words) > 2 {
			r.Gateway = addr(words[2])
		}
		s = append(s, r)
	}
	out, err := Normalize([]Set{s})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func TestCandidates(t *testing.T) {
	for _, c := range []struct {
		ranges   []string
		previous string
		want     string
	}{
		{[]string{"10.0.0.0/29"}, "", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"},
		{[]string{"10.0.0.0/29"}, "10.0.0.4", "10.0.0.5 10.0.0.6 10.0.0.2 10.0.0.3 10.0.0.4"},
		{[]string{"10.0.0.0/29"}, "10.0.0.6", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"},
		{[]string{"10.0.0.0/29"}, "10.9.9.9", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6"},
		{[]string{"10.0.0.0/29 10.0.0.0-10.0.0.7 10.0.0.6"}, "", "10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{[]string{"10.0.0.0/29 10.0.0.3-10.0.0.4"}, "10.0.0.3", "10.0.0.4 10.0.0.3"},
		{[]string{"fd00::/126"}, "", "fd00::2 fd00::3"},
		{[]string{"fd00::/64 fd00::ffff:ffff:ffff:fffe-fd00::ffff:ffff:ffff:ffff"}, "fd00::ffff:ffff:ffff:ffff",
			"fd00::ffff:ffff:ffff:fffe fd00::ffff:ffff:ffff:ffff"},
		{[]string{"255.255.255.252/30"}, "255.255.255.254", "255.255.255.254"},
		{[]string{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffc/126"}, "", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{[]string{"10.0.0.0/30", "10.0.1.0/30", "10.0.2.0/30"}, "", "10.0.0.2 10.0.1.2 10.0.2.2"},
		{[]string{"10.0.0.0/30", "10.0.1.0/29", "10.0.2.0/30"}, "10.0.1.4", "10.0.1.5 10.0.1.6 10.0.2.2 10.0.0.2 10.0.1.2 10.0.1.3 10.0.1.4"},
	} {
		t.Run(fmt.Sprint(c.ranges, c.previous), func(t *testing.T) {
			previous, _ := netip.ParseAddr(c.previous)
			var got []string
			for a := range set(t, c.ranges...).candidates(previous) {
				got = append(got, a.String())
			}
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestNormalize(t *testing.T) {
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		sets []Set
		want string // of the sets, or part of the error
	}{
		{[]Set{{{Subnet: prefix("10.0.0.0/24")}}}, "[10.0.0.1-10.0.0.254]"},
		{[]Set{{{Subnet: prefix("fd00::/64")}}}, "[fd00::1-fd00::ffff:ffff:ffff:ffff]"},
		{[]Set{{{Subnet: prefix("10.0.0.0/31")}}}, "too small"},
		{[]Set{{{Subnet: prefix("10.0.0.0/32")}}}, "too small"},
		{[]Set{{{Subnet: prefix("fd00::/127")}}}, "too small"},
		{[]Set{{{Subnet: prefix("fd00::/128")}}}, "too small"},
		{[]Set{{{Subnet: prefix("10.0.0.1/24")}}}, "host bits set: write 10.0.0.0/24"},
		{[]Set{{{}}}, "no subnet"},
		{[]Set{{}}, "empty range set"},
		{[]Set{{{Subnet: prefix("10.0.0.0/24"), First: addr("10.0.1.5")}}}, "rangeStart 10.0.1.5 not in network"},
		{[]Set{{{Subnet: prefix("10.0.0.0/24"), Last: addr("10.0.1.5")}}}, "rangeEnd 10.0.1.5 not in network"},
		{[]Set{{{Subnet: prefix("10.0.0.0/24"), First: addr("10.0.0.9"), Last: addr("10.0.0.5")}}}, "is after rangeEnd"},
		{[]Set{{{Subnet: prefix("10.0.0.0/24")}, {Subnet: prefix("fd00::/64")}}}, "mixed address families"},
		{[]Set{{{Subnet: prefix("10.0.0.0/24")}, {Subnet: prefix("10.0.0.128/25")}}}, "overlap"},
		{[]Set{{{Subnet: prefix("10.0.0.0/24")}}, {{Subnet: prefix("10.0.0.0/25")}}}, "range set 1 overlaps with 0"},
	} {
		got, err := Normalize(c.sets)
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%v: got %s, want %s", c.sets, text, c.want)
		}
	}
}
