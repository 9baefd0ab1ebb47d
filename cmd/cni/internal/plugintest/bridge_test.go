package plugintest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/podnet/podnet/state/device"
)

// A pod's whole life, in each family and in both: what it sees, what the host has, and nothing but
// the bridge afterwards.
func TestLife(t *testing.T) {
	for name, c := range map[string]struct{ ranges, first, second, inside string }{
		"IPv4": {ranges4, "10.1.0.2", "10.1.0.3", `lo UNKNOWN MAC <LOOPBACK,UP,LOWER_UP>
eth0 UP MAC <BROADCAST,MULTICAST,UP,LOWER_UP>
eth0 UP 10.1.0.2/24
default via 10.1.0.1 dev eth0
10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.2
fe80::/64 dev eth0 proto kernel metric 256 pref medium
`},
		"IPv6": {ranges6, "fd00:1::2", "fd00:1::3", `lo UNKNOWN MAC <LOOPBACK,UP,LOWER_UP>
eth0 UP MAC <BROADCAST,MULTICAST,UP,LOWER_UP>
eth0 UP fd00:1::2/64
fd00:1::/64 dev eth0 proto kernel metric 256 pref medium
fe80::/64 dev eth0 proto kernel metric 256 pref medium
default via fd00:1::1 dev eth0 metric 1024 pref medium
`},
		"both": {ranges46, "10.1.0.2 fd00:1::2", "10.1.0.3 fd00:1::3", `lo UNKNOWN MAC <LOOPBACK,UP,LOWER_UP>
eth0 UP MAC <BROADCAST,MULTICAST,UP,LOWER_UP>
eth0 UP 10.1.0.2/24 fd00:1::2/64
default via 10.1.0.1 dev eth0
10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.2
fd00:1::/64 dev eth0 proto kernel metric 256 pref medium
fe80::/64 dev eth0 proto kernel metric 256 pref medium
default via fd00:1::1 dev eth0 metric 1024 pref medium
`},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			a, b := h.NewPod("a"), h.NewPod("b")
			conf := h.conf(`"isDefaultGateway":true`, c.ranges)
			result := h.must(on(a, conf).with("ADD"))
			h.must(on(b, conf).with("ADD"))
			same(t, "pod", inside(t, a), c.inside)
			for _, to := range strings.Fields(c.second) {
				if err := a.Ping(to); err != nil {
					t.Error(err)
				}
			}
			for _, to := range strings.Fields(c.first) {
				if err := h.Ping(to); err != nil {
					t.Error(err)
				}
				if entry := h.Sh("ip neigh show to " + to); !strings.Contains(entry, "extern_learn") || strings.Contains(entry, "PERMANENT") {
					t.Errorf("neighbour %s: %q, want one that is learned from outside, and not permanent", to, entry)
				}
			}
			if err := h.check(on(a, conf), result); err != nil {
				t.Error(err)
			}
			h.must(on(b, conf).with("DEL"))
			h.must(on(a, conf).with("DEL"))
			h.must(on(a, conf).with("DEL"))
			gone := h.Sh("ip -o link show type veth") + h.podNeighbours() + strings.Join(leaseFiles(t, h), " ")
			if strings.Contains(gone, "br0") || strings.Contains(gone, "10.1.0.") || strings.Contains(gone, "fd00:1::") {
				t.Errorf("left behind: %s", gone)
			}
		})
	}
}

// The host takes no pod for an IPv6 router, also while the bridge is gone and the host's end of its
// veth is a link by itself.
func TestPodIsNoRouter(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	h.must(on(p, h.conf(`"isGateway":true`, ranges4)).with("ADD"))
	for _, link := range []string{"br0", device.VethName("net", p.ID, "eth0")} {
		if got, err := h.Sysctl("net/ipv6/conf/" + link + "/accept_ra"); err != nil || got != "0" {
			t.Errorf("accept_ra of %s is %q, %v; want 0", link, got, err)
		}
	}
}

// A DEL without the namespace, or with one that has gone, finds everything all the same.
func TestDelWithoutNamespace(t *testing.T) {
	for _, how := range []string{"empty", "gone", "not a namespace"} {
		t.Run(how, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			conf := h.conf(`"isGateway":true`, ranges46)
			h.must(on(p, conf).with("ADD"))
			del := on(p, conf).with("DEL")
			switch how {
			case "empty":
				del.netns = ""
			case "gone":
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			case "not a namespace":
				del.netns = t.TempDir()
			}
			h.must(del)
			if left := leaseFiles(t, h); len(left) > 0 {
				t.Errorf("leases left: %v", left)
			}
			if links := h.Sh("ip -o link show master br0"); links != "" {
				t.Errorf("ports left: %s", links)
			}
		})
	}
}

// The configuration that flannel's plugin hands on.
func TestFlannelDelegate(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := fmt.Sprintf(`{"cniVersion":"0.3.1","name":"cbr0","type":"bridge","isDefaultGateway":true,"hairpinMode":true,"mtu":1450,"ipMasq":false,
		"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}]}}`, h.leases())
	h.must(on(p, conf).with("ADD"))
	same(t, "pod", inside(t, p), `lo UNKNOWN MAC <LOOPBACK,UP,LOWER_UP>
eth0 UP MAC <BROADCAST,MULTICAST,UP,LOWER_UP>
eth0 UP 10.244.1.2/24
default via 10.244.1.1 dev eth0
10.244.0.0/16 via 10.244.1.1 dev eth0
10.244.1.0/24 dev eth0 proto kernel scope link src 10.244.1.2
fe80::/64 dev eth0 proto kernel metric 256 pref medium
`)
	port := h.Sh("ip -d -o link show master cni0")
	for _, want := range []string{"mtu 1450", "hairpin on", "isolated off", "addrgenmode none"} {
		if !strings.Contains(port, want) {
			t.Errorf("port lacks %q: %s", want, port)
		}
	}
	if err := p.Ping("10.244.1.1"); err != nil {
		t.Error(err)
	}
	if on, err := h.Sysctl("net/ipv4/ip_forward"); err != nil || on != "1" {
		t.Errorf("ip_forward is %q, %v", on, err)
	}
}

// podnet's own configuration makes the bridge as podnetd does and marks what it makes; any other
// marks nothing.
func TestMarks(t *testing.T) {
	const mac = "52:54:00:12:34:56"
	for _, key := range []bool{true, false} {
		h := newHost(t)
		h.SetSysctl("net/ipv6/conf/default/accept_dad", "1")
		p := h.NewPod("a")
		fields := `"isGateway":true,"mtu":1400`
		if key {
			fields += `,"podnet":{"bridgeMAC":"` + mac + `"}`
		}
		h.must(on(p, h.conf(fields, ranges46)).with("ADD"))
		bridge := h.Sh("ip -d -o link show br0")
		port := h.Sh("ip -d -o link show " + device.VethName("net", p.ID, "eth0"))
		dad, err := h.Sysctl("net/ipv6/conf/br0/accept_dad")
		if err != nil {
			t.Fatal(err)
		}
		for what, is := range map[string]bool{
			"MAC of podnetd":  strings.Contains(bridge, mac),
			"group of bridge": strings.Contains(bridge, "group 7200"),
			"group of veth":   strings.Contains(port, "group 7201"),
			"alias of veth":   strings.Contains(port, "alias "+device.PodAlias("net", p.ID, "eth0")),
			"accept_dad off":  dad == "0",
		} {
			if is != key {
				t.Errorf("with the key %t: %s %t\n%s%s", key, what, is, bridge, port)
			}
		}
		for _, want := range []string{"mtu 1400", "addrgenmode none"} {
			if !strings.Contains(port, want) {
				t.Errorf("port lacks %q: %s", want, port)
			}
		}
		if addrs := h.Sh("ip -o addr show br0"); strings.Contains(addrs, "fd00:1::1/64 scope global tentative") || !strings.Contains(addrs, "nodad") {
			t.Errorf("the gateway address is checked for duplicates: %s", addrs)
		}
	}
}

// An attachment that is too long for an alias has none, and is a pod like any other by its name,
// group and lease.
func TestLongID(t *testing.T) {
	h := newHost(t)
	a, b := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true,"podnet":{}`, ranges4)
	long := on(a, conf).with("ADD")
	for length, alias := range map[int]bool{246: true, 247: false, 1000: false} { // net/ID/eth0 of 255, 256 and more bytes
		long.id = strings.Repeat("a", length)
		name := device.VethName("net", long.id, "eth0")
		h.must(long)
		h.must(long) // an interrupted ADD, repeated
		port := h.Sh("ip -o link show " + name)
		if !strings.Contains(port, "group 7201") || strings.Contains(port, "alias net/"+long.id+"/eth0") != alias {
			t.Errorf("id of %d bytes: %s", length, port)
		}
		h.must(on(b, conf).with("ADD"))
		h.gc(conf, `"cni.dev/valid-attachments":[{"containerID":"`+long.id+`","ifname":"eth0"}]`)
		if links := h.Sh("ip -o link show type veth"); !strings.Contains(links, name) || strings.Contains(links, device.VethName("net", b.ID, "eth0")) {
			t.Errorf("id of %d bytes, after a GC: %s", length, links)
		}
		h.must(long.with("DEL"))
		h.must(long)
		h.gc(conf, `"cni.dev/valid-attachments":[]`)
		if links := h.Sh("ip -o link show type veth"); strings.Contains(links, name) || len(leaseFiles(t, h)) > 0 {
			t.Errorf("id of %d bytes, left: %s %s", length, links, leaseFiles(t, h))
		}
	}
}

// podnet's bridge takes no pod for a router, and has IPv6 switched on only where pods speak it.
func TestIPv6OfOwnBridge(t *testing.T) {
	for ranges, disabled := range map[string]string{ranges4: "1", ranges46: "0"} {
		h := newHost(t)
		h.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1")
		h.must(on(h.NewPod("a"), h.conf(`"isGateway":true,"podnet":{}`, ranges)).with("ADD"))
		for setting, want := range map[string]string{"disable_ipv6": disabled, "accept_ra": "0"} {
			if got, err := h.Sysctl("net/ipv6/conf/br0/" + setting); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v; want %s", ranges, setting, got, err, want)
			}
		}
	}
}

// podnet's bridge forwards on a host that does, whatever new links begin with.
func TestOwnBridgeForwards(t *testing.T) {
	for ranges, want := range map[string]string{ranges4: "1", ranges6: "0"} {
		h := newHost(t)
		h.SetSysctl("net/ipv4/ip_forward", "1")
		h.SetSysctl("net/ipv4/conf/default/forwarding", "0")
		h.must(on(h.NewPod("a"), h.conf(`"isGateway":true,"podnet":{}`, ranges)).with("ADD"))
		if got, err := h.Sysctl("net/ipv4/conf/br0/forwarding"); err != nil || got != want {
			t.Errorf("%s: forwarding is %s, %v; want %s", ranges, got, err, want)
		}
	}
}

// An ADD that was killed, or repeated: the second builds the same attachment again, with the same
// address.
func TestRepeatedAdd(t *testing.T) {
	h := newHost(t)
	a, b := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true`, ranges46)
	first := h.must(on(a, conf).with("ADD"))
	before := normal(h.state())
	same(t, "result", normal(h.must(on(a, conf).with("ADD"))), normal(first))
	sameWithoutIndexes(t, "host", normal(h.state()), before)
	if err := h.Ping("10.1.0.2"); err != nil {
		t.Error(err)
	}

	// The runtime made the sandbox anew, so that the repeated ADD is for another namespace.
	h.must(call{verb: "ADD", id: a.ID, netns: b.Path, conf: conf})
	sameWithoutIndexes(t, "host", normal(h.state()), before)
	if err := h.Ping("10.1.0.2"); err != nil {
		t.Error(err)
	}
}

// Many pods at once on a host that has no bridge yet.
func TestAtOnce(t *testing.T) {
	h := newHost(t)
	conf := h.conf(`"isGateway":true`, ranges46)
	var wg sync.WaitGroup
	for i := range 16 {
		p := h.NewPod(fmt.Sprintf("p%d", i))
		wg.Go(func() {
			if _, err := h.run(on(p, conf).with("ADD")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(leaseFiles(t, h)); n != 32 {
		t.Errorf("%d leases, want 32", n)
	}
	if n := strings.Count(h.Sh("ip -o -d link show master br0"), "state forwarding"); n != 16 {
		t.Errorf("%d ports forward, want 16", n)
	}
}

func TestLayer2(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"portIsolation":true,"promiscMode":true,"runtimeConfig":{"mac":"02:11:22:33:44:55"}`, "")
	result := h.must(on(p, conf).with("ADD"))
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
	h.must(on(p, conf).with("DEL"))

	conf = h.conf(`"disableContainerInterface":true`, "")
	result = h.must(on(p, conf).with("ADD"))
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
	h.must(on(p, h.conf(`"enabledad":true`, ranges6)).with("ADD"))
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
	h.must(on(p, h.conf(`"isGateway":true`, ranges6)).with("ADD"))
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
	h.must(on(p, h.conf(`"isGateway":true`, ranges6)).with("ADD"))
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
	h.must(on(a, conf).with("ADD"))
	h.must(on(b, conf).with("ADD"))
	to := []string{"10.1.0.3", "fd00:1::3"}
	for _, addr := range to {
		if err := a.Ping(addr); err != nil {
			t.Fatal(err)
		}
	}
	h.must(on(b, conf).with("DEL"))
	h.must(on(c, conf).with("ADD"))
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
		h.must(on(p, h.conf(`"isDefaultGateway":true`, ranges4+`,"routes":[{"dst":"0.0.0.0/0"`+c.gw+`}]`)).with("ADD"))
		if routes, err := p.Exec("ip", "route", "show", "default"); err != nil || strings.TrimSpace(routes) != "default via "+c.via+" dev eth0" {
			t.Errorf("%q %v", routes, err)
		}
	}
}
