package state

import (
	"net/netip"
	"strings"
	"testing"
)

func TestTunnelInput(t *testing.T) {
	want := new(Set)
	want.Links.Add(Link{Device: "podnet.1", Type: "vxlan", Port: 8472, Local: netip.MustParseAddr("192.0.2.1")}, OwnNode)
	const established = "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A INPUT -i lo -j ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n"
	for _, c := range []struct {
		name, input string
		closed      bool
	}{
		{"no firewall", ":INPUT ACCEPT [0:0]\n", false},
		{"closed by policy", ":INPUT DROP [0:0]\n" + established, true},
		{"closed by the last rule", ":INPUT ACCEPT [0:0]\n" + established + "-A INPUT -j REJECT --reject-with icmp-host-prohibited\n", true},
		{"another port", ":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 84720 -j ACCEPT\n", true},
		{"open for the port", ":INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 8472 -j ACCEPT\n", false},
		{"open for the nodes", ":INPUT DROP [0:0]\n-A INPUT -s 192.0.2.0/24 -j ACCEPT\n", false},
		{"open too late", ":INPUT ACCEPT [0:0]\n-A INPUT -j DROP\n-A INPUT -p udp -m udp --dport 8472 -j ACCEPT\n", true},
		{"another chain decides", ":INPUT DROP [0:0]\n:ufw - [0:0]\n-A INPUT -j ufw\n", false},
	} {
		_, conflicts := parseChains(4, "*filter\n"+c.input+"COMMIT\n", tunnelPort(4, want))
		if closed := len(conflicts) == 1; closed != c.closed {
			t.Errorf("%s: %+v", c.name, conflicts)
		} else if closed && (conflicts[0].Blocks || conflicts[0].Remedy != "iptables -I INPUT -p udp --dport 8472 -j ACCEPT" || !strings.Contains(conflicts[0].Owner, "8472")) {
			t.Errorf("%s: %+v", c.name, conflicts[0])
		}
		if _, conflicts := parseChains(6, "*filter\n"+c.input+"COMMIT\n", tunnelPort(6, want)); len(conflicts) > 0 {
			t.Errorf("%s: the tunnel does not run over IPv6: %+v", c.name, conflicts)
		}
	}
}
