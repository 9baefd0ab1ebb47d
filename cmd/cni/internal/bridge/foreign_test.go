package bridge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// macOf is a link's MAC address.
func macOf(h *host, link string) string {
	h.T.Helper()
	return h.Objects("ip -j link show dev " + link)[0]["address"].(string)
}

// A bridge that somebody else has made keeps the MAC that it has, whichever ports come and go, and
// results tell it.
func TestForeignBridgeKeepsItsMAC(t *testing.T) {
	for name, prepare := range map[string]string{
		"down":                 "true",
		"up":                   "ip link set br0 up",
		"with an address":      "ip addr add 10.1.0.1/24 dev br0; ip addr add fd00:1::1/64 dev br0 nodad; ip link set br0 up",
		"with a port":          "ip link set br0 up; ip link add low type veth peer name low1; ip link set low address 00:00:5e:00:53:01 master br0; ip link set low up; ip link set low1 up",
		"port and address":     "ip link set br0 up; ip addr add 10.1.0.1/24 dev br0; ip link add low type veth peer name low1; ip link set low address 00:00:5e:00:53:01 master br0; ip link set low up; ip link set low1 up",
		"nothing to set":       "echo 0 >/proc/sys/net/ipv6/conf/br0/accept_ra; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0",
		"with a MAC that sits": "ip link set br0 address 02:00:00:00:00:01; ip link set br0 up",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.Must("sh", "-ec", "ip link add br0 type bridge; "+prepare)
			before := macOf(h, "br0")
			ranges, gateways := ranges46, []string{"10.1.0.1", "fd00:1::1"}
			if name == "nothing to set" {
				ranges, gateways = ranges4, gateways[:1]
			}
			conf := h.conf(`"isDefaultGateway":true`, ranges)
			var pods []*lab.Pod
			for i := range 5 {
				p := h.NewPod(fmt.Sprint("p", i))
				pods = append(pods, p)
				var result struct{ Interfaces []struct{ Name, Mac string } }
				if err := json.Unmarshal([]byte(h.Succeed(on(p, conf).With("ADD"))), &result); err != nil {
					t.Fatal(err)
				}
				if said, is := result.Interfaces[0].Mac, macOf(h, "br0"); said != is || is != before {
					t.Errorf("pod %d: the MAC is %s, the result says %s; it was %s", i, is, said, before)
				}
			}
			if strings.Contains(prepare, " low ") {
				h.Must("ip", "link", "del", "low")
			}
			for _, p := range pods[1:] {
				h.Succeed(on(p, conf).With("DEL"))
				if is := macOf(h, "br0"); is != before {
					t.Errorf("after a DEL the MAC is %s; it was %s", is, before)
				}
				for _, to := range gateways {
					if err := pods[0].Ping(to); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// Setting the MAC has the kernel forget the neighbours of a bridge, so that it is done once: the
// entries of pods that are there stay when others come.
func TestForeignBridgeKeepsItsNeighbours(t *testing.T) {
	h := newHost(t)
	h.Must("sh", "-ec", "ip link add br0 type bridge; ip link set br0 up")
	conf := h.conf(`"isGateway":true`, ranges46)
	for i := range 3 {
		h.Succeed(on(h.NewPod(fmt.Sprint("p", i)), conf).With("ADD"))
	}
	if got := strings.Count(h.podNeighbours(), "\n"); got != 6 {
		t.Errorf("%d entries, want 6: %s", got, h.Sh("ip neigh show"))
	}
}

// A bridge that is up already takes no pod for the host's router, and neither does any other link
// that guests hang on because an ADD switches forwarding on.
func TestNobodyPosesAsRouter(t *testing.T) {
	lab.NeedUsers(t) // whose root may open /dev/net/tun
	for name, c := range map[string]struct{ ranges, eth0 string }{
		"IPv4": {ranges4, "1"}, "both": {ranges46, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			h.Must("sh", "-ec", "for l in br0 docker0; do ip link add $l type bridge; ip link set $l up; done; ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip tuntap add tap0 mode tap")
			for _, link := range []string{"eth0", "br0", "docker0", "veth0", "tap0"} {
				h.SetSysctl("net/ipv6/conf/"+link+"/accept_ra", "1")
			}
			conf := h.conf(`"isGateway":true`, c.ranges)
			h.Succeed(on(h.NewPod("a"), conf).With("ADD"))
			for link, want := range map[string]string{"eth0": c.eth0, "br0": "0", "docker0": "1", "veth0": "1", "tap0": "1"} {
				if got, err := h.Sysctl("net/ipv6/conf/" + link + "/accept_ra"); err != nil || got != want {
					t.Errorf("accept_ra of %s is %q, %v; want %s", link, got, err, want)
				}
			}
			h.SetSysctl("net/ipv6/conf/br0/accept_ra", "2")
			p := h.NewPod("b")
			h.Succeed(on(p, conf).With("ADD"))
			if err := p.Advertise("eth0"); err != nil {
				t.Error(err)
			}
			if routes := h.Sh("ip -6 route show default proto ra"); routes != "" {
				t.Errorf("routers: %s", routes)
			}
		})
	}
}

// Every gateway of the network's own ranges has its place on the bridge, with forceAddress too; one
// that is nobody's goes or is refused as before.
func TestSecondGateway(t *testing.T) {
	for _, force := range []bool{false, true} {
		h := newHost(t)
		conf := h.conf(fmt.Sprintf(`"isDefaultGateway":true,"forceAddress":%t`, force),
			`"ranges":[[{"subnet":"10.1.0.0/30"},{"subnet":"10.2.0.0/24","gateway":"10.2.0.254"}],[{"subnet":"fd00:1::/64","rangeEnd":"fd00:1::2"},{"subnet":"fd00:2::/64"}]]`)
		var pods []*lab.Pod
		for i := range 2 {
			p := h.NewPod(fmt.Sprint("p", i))
			h.Succeed(on(p, conf).With("ADD"))
			pods = append(pods, p)
		}
		for i, to := range [][]string{{"10.1.0.1", "fd00:1::1", "10.2.0.1", "fd00:2::2"}, {"10.2.0.254", "fd00:2::1", "10.1.0.2", "fd00:1::2"}} {
			for _, addr := range to {
				if err := pods[i].Ping(addr); err != nil {
					t.Errorf("forceAddress %t: %v", force, err)
				}
			}
		}
		other := strings.Replace(h.conf(fmt.Sprintf(`"isGateway":true,"forceAddress":%t`, force), `"ranges":[[{"subnet":"10.3.0.0/24"}]]`), `"net"`, `"other"`, 1)
		add := on(h.NewPod("other"), other).With("ADD")
		if force {
			h.Succeed(add)
		} else {
			h.Fail(add, 102, "10.1.0.1/30", "ipam.ranges", "a bridge of its own")
		}
	}
}

// A bridge that the plugin makes has IPv6 where pods need it, whatever new links begin with. Of
// somebody else's bridge the setting is named, and what the message says helps.
func TestIPv6OffByDefault(t *testing.T) {
	for _, c := range []struct{ conf, prepare string }{
		{"default", ""}, {"default", "ip link add br0 type bridge; ip link set br0 up"}, {"br0", "ip link add br0 type bridge; ip link set br0 up"},
	} {
		h := newHost(t)
		if c.conf != "br0" {
			h.SetSysctl("net/ipv6/conf/"+c.conf+"/disable_ipv6", "1")
		}
		if c.prepare != "" {
			h.Must("sh", "-ec", c.prepare)
			h.SetSysctl("net/ipv6/conf/br0/disable_ipv6", "1")
		}
		p := h.NewPod("a")
		conf := h.conf(`"isGateway":true`, ranges46)
		if c.prepare != "" {
			const remedy = "sysctl -w net/ipv6/conf/br0/disable_ipv6=0"
			h.Fail(on(p, conf).With("ADD"), 7, remedy)
			status := cnihost.Call{Plugin: "bridge", Verb: "STATUS", Conf: strings.Replace(conf, "1.0.0", "1.1.0", 1)}
			h.Fail(status, 50, remedy)
			h.Succeed(on(h.NewPod("b"), strings.Replace(h.conf(`"isGateway":true`, ranges4), `"net"`, `"four"`, 1)).With("ADD")) // needs none
			h.Sh(remedy)
			h.Succeed(status)
		}
		h.Succeed(on(p, conf).With("ADD"))
		if err := p.Ping("fd00:1::1"); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// promiscMode is set on a bridge that somebody only listens to: when that ends, the pods still need
// it.
func TestPromiscBesideListener(t *testing.T) {
	h := newHost(t)
	h.Must("sh", "-ec", "ip link add br0 type bridge; ip link set br0 up; ip link add link br0 name tap0 type macvlan mode passthru; ip link set tap0 up")
	if br := h.Sh("ip -d -o link show br0"); !strings.Contains(br, "promiscuity 1") || strings.Contains(br, "PROMISC") {
		t.Fatalf("nobody listens: %s", br)
	}
	h.Succeed(on(h.NewPod("a"), h.conf(`"promiscMode":true`, "")).With("ADD"))
	h.Must("ip", "link", "del", "tap0")
	if br := h.Sh("ip -o link show br0"); !strings.Contains(br, "PROMISC") {
		t.Errorf("bridge: %s", br)
	}
}
