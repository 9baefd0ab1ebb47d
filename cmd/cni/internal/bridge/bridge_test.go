package bridge_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/cnihost"
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
			result := h.Succeed(on(a, conf).With("ADD"))
			h.Succeed(on(b, conf).With("ADD"))
			cnihost.Same(t, "pod", inside(t, a), c.inside)
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
			h.Succeed(on(b, conf).With("DEL"))
			h.Succeed(on(a, conf).With("DEL"))
			h.Succeed(on(a, conf).With("DEL"))
			gone := h.Sh("ip -o link show type veth") + h.podNeighbours() + h.LeaseFiles()
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
	h.Succeed(on(p, h.conf(`"isGateway":true`, ranges4)).With("ADD"))
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
			h.Succeed(on(p, conf).With("ADD"))
			del := on(p, conf).With("DEL")
			switch how {
			case "empty":
				del.Netns = ""
			case "gone":
				if err := p.Close(); err != nil {
					t.Fatal(err)
				}
			case "not a namespace":
				del.Netns = t.TempDir()
			}
			h.Succeed(del)
			if left := strings.Fields(h.LeaseFiles()); len(left) > 0 {
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
		"ipam":{"type":"host-local","dataDir":%q,"ranges":[[{"subnet":"10.244.1.0/24"}]],"routes":[{"dst":"10.244.0.0/16"}]}}`, h.DataDir())
	h.Succeed(on(p, conf).With("ADD"))
	cnihost.Same(t, "pod", inside(t, p), `lo UNKNOWN MAC <LOOPBACK,UP,LOWER_UP>
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
		h.Succeed(on(p, h.conf(fields, ranges46)).With("ADD"))
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
	long := on(a, conf).With("ADD")
	for length, alias := range map[int]bool{246: true, 247: false, 1000: false} { // net/ID/eth0 of 255, 256 and more bytes
		long.ID = strings.Repeat("a", length)
		name := device.VethName("net", long.ID, "eth0")
		h.Succeed(long)
		h.Succeed(long) // an interrupted ADD, repeated
		port := h.Sh("ip -o link show " + name)
		if !strings.Contains(port, "group 7201") || strings.Contains(port, "alias net/"+long.ID+"/eth0") != alias {
			t.Errorf("id of %d bytes: %s", length, port)
		}
		h.Succeed(on(b, conf).With("ADD"))
		h.gc(conf, `"cni.dev/valid-attachments":[{"containerID":"`+long.ID+`","ifname":"eth0"}]`)
		if links := h.Sh("ip -o link show type veth"); !strings.Contains(links, name) || strings.Contains(links, device.VethName("net", b.ID, "eth0")) {
			t.Errorf("id of %d bytes, after a GC: %s", length, links)
		}
		h.Succeed(long.With("DEL"))
		h.Succeed(long)
		h.gc(conf, `"cni.dev/valid-attachments":[]`)
		if links := h.Sh("ip -o link show type veth"); strings.Contains(links, name) || len(strings.Fields(h.LeaseFiles())) > 0 {
			t.Errorf("id of %d bytes, left: %s %s", length, links, strings.Fields(h.LeaseFiles()))
		}
	}
}

// podnet's bridge takes no pod for a router, and has IPv6 switched on only where pods speak it.
func TestIPv6OfOwnBridge(t *testing.T) {
	for ranges, disabled := range map[string]string{ranges4: "1", ranges46: "0"} {
		h := newHost(t)
		h.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1")
		h.Succeed(on(h.NewPod("a"), h.conf(`"isGateway":true,"podnet":{}`, ranges)).With("ADD"))
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
		h.Succeed(on(h.NewPod("a"), h.conf(`"isGateway":true,"podnet":{}`, ranges)).With("ADD"))
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
	first := h.Succeed(on(a, conf).With("ADD"))
	before := normal(h.state())
	cnihost.Same(t, "result", normal(h.Succeed(on(a, conf).With("ADD"))), normal(first))
	sameWithoutIndexes(t, "host", normal(h.state()), before)
	if err := h.Ping("10.1.0.2"); err != nil {
		t.Error(err)
	}

	// The runtime made the sandbox anew, so that the repeated ADD is for another namespace.
	h.Succeed(cnihost.Call{Plugin: "bridge", Verb: "ADD", ID: a.ID, Netns: b.Path, Conf: conf})
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
			if _, err := h.Try(on(p, conf).With("ADD")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := len(strings.Fields(h.LeaseFiles())); n != 32 {
		t.Errorf("%d leases, want 32", n)
	}
	if n := strings.Count(h.Sh("ip -o -d link show master br0"), "state forwarding"); n != 16 {
		t.Errorf("%d ports forward, want 16", n)
	}
}
