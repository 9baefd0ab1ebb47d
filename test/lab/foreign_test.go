package lab

import "testing"

// Whatever is done to one of the foreign objects shows in Foreign, and nothing else does.
func TestForeignSeesChanges(t *testing.T) {
	n := New(t).Node("node-a")
	before := n.Foreign()
	for _, change := range [][2]string{
		{"ip link set other3 mtu 1300", "ip link set other3 mtu 1500"},
		{"ip addr add 100.99.0.9/24 dev other0", "ip addr del 100.99.0.9/24 dev other0"},
		{"ip neigh del 100.99.0.7 dev other0", "ip neigh add 100.99.0.7 lladdr 02:00:00:00:99:07 dev other0 nud permanent"},
		{"ip route add 100.99.7.0/24 via 192.0.2.1 proto 73", "ip route del 100.99.7.0/24 proto 73"},
		{"ip route add 100.99.7.0/24 via 192.0.2.1 proto 73 table 98", "ip route del 100.99.7.0/24 proto 73 table 98"},
		{"ip -6 route del 2001:db8:9901::/64", "ip -6 route add 2001:db8:9901::/64 via 2001:db8::1 proto 73"},
		{"ip rule del pref 9900", "ip rule add from 100.99.0.0/24 lookup 99 pref 9900"},
		{"bridge fdb del 02:00:00:00:99:08 dev other1 master", "bridge fdb add 02:00:00:00:99:08 dev other1 master static"},
		{"bridge fdb replace 02:00:00:00:99:09 dev other3 dst 192.0.2.223", "bridge fdb replace 02:00:00:00:99:09 dev other3 dst 192.0.2.222"},
		{"iptables -A OTHERS -j ACCEPT", "iptables -D OTHERS -j ACCEPT"},
		{"ip6tables -t nat -D POSTROUTING 1", "ip6tables -t nat -A POSTROUTING -s 2001:db8:99::/64 -j OTHERS"},
		{"nft delete element inet others known {100.99.0.7}", "nft add element inet others known {100.99.0.7}"},
	} {
		n.Sh(change[0])
		if n.Foreign() == before {
			t.Errorf("%s: not seen", change[0])
		}
		n.Sh(change[1])
		if err := SameState(before, n.Foreign()); err != nil {
			t.Errorf("%s: leaves a trace:\n%v", change[1], err)
		}
	}
	n.Sh("ip route add 100.98.0.0/24 via 192.0.2.1 proto 72")
	if err := SameState(before, n.Foreign()); err != nil {
		t.Error(err)
	}
	if n.WriteFile(foreignFiles[0][0], "another"); n.Foreign() == before {
		t.Error("file: not seen")
	}
	n.WriteFile(foreignFiles[0][0], foreignFiles[0][1])
}
