package firewall

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
)

func TestTunnelInput(t *testing.T) {
	want := new(state.Set)
	want.Links.Add(state.Link{Device: "podnet.1", Type: "vxlan", Port: 8472, Local: netip.MustParseAddr("192.0.2.1")}, state.OwnNode)
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
		{"another chain lets it in", ":INPUT DROP [0:0]\n:ufw - [0:0]\n-A INPUT -j ufw\n-A ufw -p udp -m udp --dport 8472 -j ACCEPT\n", false},
		{"another chain may let it in", ":INPUT DROP [0:0]\n:ufw - [0:0]\n-A INPUT -j ufw\n-A ufw -m set --match-set nodes src -j ACCEPT\n", false},
		{"another chain does not", ":INPUT DROP [0:0]\n:ufw - [0:0]\n:ufw-user - [0:0]\n-A INPUT -j ufw\n-A ufw -i lo -j ACCEPT\n" +
			"-A ufw -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A ufw -m addrtype --dst-type LOCAL -j RETURN\n-A ufw -j ufw-user\n" +
			"-A ufw-user -p tcp -m tcp --dport 22 -j ACCEPT\n-A ufw-user -p udp -m multiport --dports 53,84720:84730 -j ACCEPT\n", true},
		{"a chain that does not come back", ":INPUT ACCEPT [0:0]\n:strict - [0:0]\n-A INPUT -g strict\n-A strict -m tcp -p tcp --tcp-flags FIN,SYN SYN -j ACCEPT\n-A strict -j DROP\n", true},
		{"a rule that mentions a chain in its comment", ":INPUT DROP [0:0]\n-A INPUT -m comment --comment \"a \\\"b\\\" -j ACCEPT\" -m mark --mark 0x1 -j ACCEPT\n-A INPUT -j DROP\n", false},
		{"closed on the underlay", ":INPUT ACCEPT [0:0]\n-A INPUT -i eth0 -j DROP\n", true},
		{"closed elsewhere", ":INPUT ACCEPT [0:0]\n-A INPUT -i eth1 -j DROP\n-A INPUT -i lo -j DROP\n", false},
		{"closed but for the underlay", ":INPUT ACCEPT [0:0]\n-A INPUT ! -i eth0 -j DROP\n", false},
		{"open elsewhere", ":INPUT DROP [0:0]\n-A INPUT -i eth1 -j ACCEPT\n", true},
	} {
		tunnel := TrafficOf(want)
		tunnel.Underlay = "eth0"
		conflicts := closedInput(4, verdict.Parse("*filter\n"+c.input+"COMMIT\n", "iptables"), tunnel)
		if closed := len(conflicts) == 1; closed != c.closed {
			t.Errorf("%s: %+v", c.name, conflicts)
		} else if closed && (conflicts[0].Blocks || conflicts[0].Remedy != "iptables -I INPUT -p udp --dport 8472 -j ACCEPT" || !strings.Contains(conflicts[0].Owner, "8472")) {
			t.Errorf("%s: %+v", c.name, conflicts[0])
		}
		if conflicts := closedInput(6, verdict.Parse("*filter\n"+c.input+"COMMIT\n", "iptables"), tunnel); len(conflicts) > 0 {
			t.Errorf("%s: the tunnel does not run over IPv6: %+v", c.name, conflicts)
		}
	}
}
