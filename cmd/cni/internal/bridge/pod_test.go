package bridge_test

import (
	"strings"
	"testing"
)

func TestLayer2(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"portIsolation":true,"promiscMode":true,"runtimeConfig":{"mac":"02:11:22:33:44:55"}`, "")
	result := h.Succeed(on(p, conf).With("ADD"))
	if err := h.check(on(p, conf), result); err != nil {
		t.Error(err)
	}
	if eth0, err := p.Exec("ip", "-o", "link", "show", "eth0"); err != nil || !strings.Contains(eth0, "02:11:22:33:44:55") || !strings.Contains(eth0, "state UP") {
		t.Errorf("eth0: %s %v", eth0, err)
	}
	if port := h.Sh("ip -d -o link show master br0"); !strings.Contains(port, "isolated on") {
		t.Errorf("port: %s", port)
	}
	if br := h.Sh("ip -d -o link show br0"); !strings.Contains(br, "PROMISC") {
		t.Errorf("bridge: %s", br)
	}
	h.Succeed(on(p, conf).With("DEL"))

	conf = h.conf(`"disableContainerInterface":true`, "")
	result = h.Succeed(on(p, conf).With("ADD"))
	if eth0, err := p.Exec("ip", "-o", "link", "show", "eth0"); err != nil || !strings.Contains(eth0, "state DOWN") {
		t.Errorf("eth0: %s %v", eth0, err)
	}
	if err := h.check(on(p, conf), result); err != nil {
		t.Error(err)
	}
}

// Duplicate address detection, where it is asked for, is waited for.
func TestDAD(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	h.Succeed(on(p, h.conf(`"enabledad":true`, ranges6)).With("ADD"))
	if addrs, err := p.Exec("ip", "-o", "addr", "show", "eth0", "scope", "global"); err != nil || strings.Contains(addrs, "tentative") || strings.Contains(addrs, "nodad") {
		t.Errorf("%s %v", addrs, err)
	}
}

// A runtime that switches IPv6 off in its pods gets pods with IPv6 addresses all the same.
func TestDisabledIPv6(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	if _, err := p.Exec("sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6"); err != nil {
		t.Fatal(err)
	}
	h.Succeed(on(p, h.conf(`"isGateway":true`, ranges6)).With("ADD"))
	if err := h.Ping("fd00:1::2"); err != nil {
		t.Error(err)
	}
}

// Switching forwarding on must not cost the host the routes that a router announced to it, nor have
// links to come believe any.
func TestForwardingKeepsRouterRoutes(t *testing.T) {
	h := newHost(t)
	h.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1")
	h.SetSysctl("net/ipv6/conf/default/accept_ra", "1")
	p := h.NewPod("a")
	h.Succeed(on(p, h.conf(`"isGateway":true`, ranges6)).With("ADD"))
	for setting, want := range map[string]string{
		"all/forwarding": "1", "eth0/accept_ra": "2", "br0/accept_ra": "0", "default/accept_ra": "1",
	} {
		if got, err := h.Sysctl("net/ipv6/conf/" + setting); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", setting, got, err, want)
		}
	}
}

// A pod that gets the address of one that has gone is reached at once by those who knew the other.
func TestReusedAddress(t *testing.T) {
	h := newHost(t)
	conf := h.conf(`"isGateway":true`, `"ranges":[[{"subnet":"10.1.0.0/24","rangeEnd":"10.1.0.3"}],[{"subnet":"fd00:1::/64","rangeEnd":"fd00:1::3"}]]`)
	a, b, c := h.NewPod("a"), h.NewPod("b"), h.NewPod("c")
	h.Succeed(on(a, conf).With("ADD"))
	h.Succeed(on(b, conf).With("ADD"))
	to := []string{"10.1.0.3", "fd00:1::3"}
	for _, addr := range to {
		if err := a.Ping(addr); err != nil {
			t.Fatal(err)
		}
	}
	h.Succeed(on(b, conf).With("DEL"))
	h.Succeed(on(c, conf).With("ADD"))
	for _, addr := range to {
		if err := a.Ping(addr); err != nil {
			t.Error(err)
		}
	}
}

// A default route that the configuration has already, with or without a gateway, is not added
// again.
func TestDefaultRouteOnce(t *testing.T) {
	for _, c := range []struct{ gw, via string }{{"", "10.1.0.1"}, {`,"gw":"10.1.0.9"`, "10.1.0.9"}} {
		h := newHost(t)
		p := h.NewPod("a")
		h.Succeed(on(p, h.conf(`"isDefaultGateway":true`, ranges4+`,"routes":[{"dst":"0.0.0.0/0"`+c.gw+`}]`)).With("ADD"))
		if routes, err := p.Exec("ip", "route", "show", "default"); err != nil || strings.TrimSpace(routes) != "default via "+c.via+" dev eth0" {
			t.Errorf("%q %v", routes, err)
		}
	}
}
