package bridge_test

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// vpn has a result tell of one more interface, with an address and a route, as a plugin behind or
// before bridge does.
func vpn(result, sandbox string, first bool) string {
	lines := func(old, added string) string {
		if first {
			return old + added + ","
		}
		return old
	}
	if first {
		result = strings.ReplaceAll(result, `"interface": 2`, `"interface": 3`)
		result = strings.Replace(result, `"interfaces": [`, lines(`"interfaces": [`, `{"name":"vpn0","sandbox":"`+sandbox+`"}`), 1)
		return strings.Replace(result, `"ips": [`, `"ips": [{"interface":0,"address":"100.64.0.9/32"},`, 1)
	}
	result = strings.Replace(result, `"ips": [`, `"ips": [{"interface":3,"address":"100.64.0.9/32"},`, 1)
	end := strings.Index(result, `"ips"`)
	close := strings.LastIndex(result[:end], "]")
	return result[:close] + `,{"name":"vpn0","sandbox":"` + sandbox + `"}` + result[close:]
}

// CHECK judges what bridge made, and leaves other plugins' work to them.
func TestCheckLeavesOthersAlone(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isDefaultGateway":true`, ranges46+`,"routes":[{"dst":"10.77.0.0/16"},{"dst":"fd00:77::/64","gw":"fd00:1::9"}]`)
	result := h.Succeed(on(p, conf).With("ADD"))
	for name, c := range map[string]struct {
		inPod, undo string
		result      string
	}{
		"an interface behind": {"ip link add vpn0 type veth peer name vpn1", "ip link del vpn0", vpn(result, p.Path, false)},
		"an interface before": {"true", "true", vpn(result, p.Path, true)},
		"a route of another's": {"true", "true",
			strings.Replace(vpn(result, p.Path, false), `"routes": [`, `"routes": [{"dst":"192.0.2.0/24","gw":"100.64.0.1"},{"dst":"198.51.100.0/24"},`, 1)},
		"routes in another table": {
			"ip route add 10.1.0.0/24 dev eth0 table 100; for r in default 10.77.0.0/16; do ip route add $r via 10.1.0.1 dev eth0 table 100; ip route del $r; done; ip route del 10.1.0.0/24;" +
				"ip -6 route add fd00:1::/64 dev eth0 table 100; ip -6 route add default via fd00:1::1 dev eth0 table 100 metric 7; ip -6 route del default",
			"ip -6 route add default via fd00:1::1 dev eth0; ip route add 10.1.0.0/24 dev eth0; for r in default 10.77.0.0/16; do ip route add $r via 10.1.0.1 dev eth0; done; ip route flush table 100", result},
		"promiscuous mode": {"ip link set eth0 promisc on", "ip link set eth0 promisc off", result},
		"an address of another's": {"ip addr add 10.99.0.1/32 dev eth0", "ip addr del 10.99.0.1/32 dev eth0",
			strings.Replace(result, `"ips": [`, `"ips": [{"interface":2,"address":"10.99.0.1/32"},`, 1)},
	} {
		if _, err := p.Exec("sh", "-ec", c.inPod); err != nil {
			t.Fatal(name, err)
		}
		if err := h.check(on(p, conf), c.result); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Exec("sh", "-ec", c.undo); err != nil {
			t.Fatal(name, err)
		}
	}
	for name, c := range map[string]struct{ inPod, undo, word string }{
		"default route": {"ip route del default", "ip route add default via 10.1.0.1", "0.0.0.0/0"},
		"other gateway": {"ip route replace default via 10.1.0.9 table 100; ip route del default", "ip route flush table 100; ip route add default via 10.1.0.1", "0.0.0.0/0"},
		"route of IPAM": {"ip -6 route del fd00:77::/64", "ip -6 route add fd00:77::/64 via fd00:1::9 dev eth0", "fd00:77::/64"},
		"address":       {"ip addr del fd00:1::2/64 dev eth0", "ip addr add fd00:1::2/64 dev eth0 nodad", "fd00:1::2"},
	} {
		if _, err := p.Exec("sh", "-ec", c.inPod); err != nil {
			t.Fatal(name, err)
		}
		for _, r := range []string{result, vpn(result, p.Path, false)} {
			if err := h.check(on(p, conf), r); err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := p.Exec("sh", "-ec", c.undo); err != nil {
			t.Fatal(name, err)
		}
	}
}

// The pod's link-local address can be used when the ADD returns, whatever the pod's namespace says
// of duplicates.
func TestLinkLocalAtOnce(t *testing.T) {
	const loops = "echo 0 >/proc/sys/net/ipv6/conf/all/enhanced_dad; echo 0 >/proc/sys/net/ipv6/conf/default/enhanced_dad"
	for name, c := range map[string]struct{ fields, ranges, inPod string }{
		"IPv4":            {"", ranges4, ""},
		"both":            {"", ranges46, ""},
		"layer 2":         {"", "", ""},
		"hairpin, loops":  {`,"hairpinMode":true`, ranges4, loops},
		"both, loops":     {`,"hairpinMode":true`, ranges46, loops},
		"promisc, loops":  {`,"promiscMode":true`, ranges46, loops},
		"DAD for all":     {"", ranges4, "echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad"},
		"DAD in hairpin":  {`,"hairpinMode":true,"enabledad":true`, ranges46, "echo 0 >/proc/sys/net/ipv6/conf/default/enhanced_dad"},
		"IPv6 is off":     {"", ranges4, "echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"},
		"no address made": {"", ranges46, "echo 1 >/proc/sys/net/ipv6/conf/default/addr_gen_mode"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			if _, err := p.Exec("sh", "-ec", c.inPod); err != nil {
				t.Fatal(err)
			}
			h.Succeed(on(p, h.conf(`"isGateway":true`+c.fields, c.ranges)).With("ADD"))
			none := name == "IPv6 is off" || name == "no address made"
			lines, err := p.Exec("ip", "-6", "-o", "addr", "show", "dev", "eth0")
			if err != nil || strings.Contains(lines, "fe80") == none || strings.Contains(lines, "tentative") || strings.Contains(lines, "dadfailed") {
				t.Errorf("addresses: %s %v", lines, err)
			}
			if !none {
				lab.Eventually(t, lab.Patience, "an advertisement from the link-local address", func() error { return p.Advertise("eth0") })
			}
		})
	}
}
