package plugintest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/lab"
)

// What an ADD refuses, it refuses without changing anything, and says what to do.
func TestRefusals(t *testing.T) {
	gateway := `"isGateway":true`
	for name, c := range map[string]struct {
		fields, ranges string
		prepare        string // on the host
		inPod          string
		args           string
		netns          func(h *host) string
		code           int
		words          []string
	}{
		"the host's namespace": {gateway, ranges4, "", "", "", func(h *host) string { return h.Namespace.Path }, 4, []string{"host's network"}},
		"no namespace":         {gateway, ranges4, "", "", "", func(*host) string { return "/run/netns/none" }, 3, []string{"gone"}},
		"not a namespace":      {gateway, ranges4, "", "", "", func(*host) string { return "/etc/passwd" }, 3, []string{"/etc/passwd"}},
		"foreign interface":    {gateway, ranges4, "", "ip link add eth0 type veth peer name other", "", nil, 102, []string{"eth0 exists", "CNI_IFNAME"}},
		"foreign bridge":       {gateway, ranges4, "ip link add br0 type veth peer name br1", "", "", nil, 102, []string{"br0 exists and is a veth", "ip link del br0"}},
		"foreign address": {gateway, ranges4, "ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0", "", "", nil, 102,
			[]string{"10.9.0.1/24", "ip addr del", "forceAddress"}},
		"exhausted":          {gateway, `"ranges":[[{"subnet":"10.1.0.0/30","rangeEnd":"10.1.0.1"}]]`, "", "", "", nil, 100, []string{"no IP addresses available in range set: 10.1.0.1-10.1.0.1", "a larger range, or fewer pods"}},
		"gateway asked for":  {gateway, ranges4, "", "", "IP=10.1.0.1", nil, 101, []string{"10.1.0.1", "gateway"}},
		"unreachable route":  {gateway, ranges4 + `,"routes":[{"dst":"10.2.0.0/16","gw":"10.3.0.1"}]`, "", "", "", nil, 7, []string{"10.2.0.0/16", "10.3.0.1", "ipam.routes"}},
		"bad route, IPv6":    {gateway, ranges46 + `,"routes":[{"dst":"fd00:2::/64","gw":"fd00:3::1"}]`, "", "", "", nil, 7, []string{"fd00:2::/64", "fd00:3::1"}},
		"bad range":          {gateway, `"ranges":[[{"subnet":"10.1.0.1/24"}]]`, "", "", "", nil, 7, []string{"host bits", "10.1.0.0/24"}},
		"no range":           {gateway, `"ranges":[]`, "", "", "", nil, 7, []string{"ipam.ranges"}},
		"ipMasqBackend":      {`"ipMasqBackend":"bpf"`, ranges4, "", "", "", nil, 7, []string{"bpf", "nftables"}},
		"vlan":               {`"vlan":4095`, ranges4, "", "", "", nil, 7, []string{"vlan 4095", "4094"}},
		"vlanTrunk":          {`"vlanTrunk":[{"minID":5}]`, ranges4, "", "", "", nil, 7, []string{"vlanTrunk", "maxID"}},
		"hairpin and promis": {`"hairpinMode":true,"promiscMode":true`, ranges4, "", "", "", nil, 7, []string{"exclude each other"}},
		"down with IPAM":     {`"disableContainerInterface":true`, ranges4, "", "", "", nil, 7, []string{"exclude each other"}},
		"multicast MAC":      {gateway, ranges4, "", "", "MAC=01:00:5e:00:00:01", nil, 7, []string{"01:00:5e:00:00:01"}},
		"unknown argument":   {gateway, ranges4, "", "", "COLOUR=red", nil, 4, []string{"COLOUR", "IgnoreUnknown=1"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			if c.inPod != "" {
				if _, err := p.Exec("sh", "-ec", c.inPod); err != nil {
					t.Fatal(err)
				}
			}
			// A pod that is there already stays as it is, its bridge included.
			if c.prepare == "" {
				h.must(on(h.NewPod("other"), h.conf(gateway, `"ranges":[[{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.9"}],[{"subnet":"fd00:1::/64"}]]`)).with("ADD"))
			} else {
				h.Must("sh", "-ec", c.prepare+"; ip link set br0 up")
			}
			before := h.state()
			call := on(p, h.conf(c.fields, c.ranges)).with("ADD")
			call.args = c.args
			if c.netns != nil {
				call.netns = c.netns(h)
			}
			h.fails(call, c.code, c.words...)
			same(t, "host", h.state(), before)
		})
	}
}

// The same fields that are refused do not keep a DEL from cleaning up.
func TestDelIsLenient(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	h.must(on(p, h.conf(`"isGateway":true`, ranges4)).with("ADD"))
	h.must(on(p, h.conf(`"isGateway":true,"vlan":5000,"ipMasq":true,"mtu":-1`, `"ranges":[]`)).with("DEL"))
	if left := leaseFiles(t, h); len(left) > 0 || h.Sh("ip -o link show master br0") != "" {
		t.Errorf("left: %v", left)
	}
}

// A DEL leaves alone what is not this network's, even an interface of the right name, and a veth of
// the derived name that says that it is another's.
func TestDelLeavesForeign(t *testing.T) {
	h := newHost(t)
	p, q := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true`, ranges4)
	h.must(on(q, conf).with("ADD"))
	h.Must("ip", "link", "add", "foreign", "type", "veth", "peer", "name", "eth0", "netns", filepath.Base(p.Path))
	before := h.state()
	h.must(on(p, conf).with("DEL"))
	h.must(call{verb: "DEL", id: "unknown", netns: h.Namespace.Path, ifname: "eth0", conf: conf})
	h.must(call{verb: "DEL", id: p.ID, netns: h.Namespace.Path, ifname: "eth0", conf: conf})
	same(t, "host", h.state(), before)

	name := device.VethName("net", p.ID, "eth0")
	h.Sh("ip link add " + name + " type veth peer name x")
	h.Sh("ip link set " + name + " alias other/pod/eth0")
	before = h.state()
	h.fails(on(p, conf).with("DEL"), 102, name, "other/pod/eth0")
	same(t, "host", h.state(), before)
}

// An alias that an operator has given a pod's veth keeps it neither from being added again nor from
// ending.
func TestChangedAlias(t *testing.T) {
	for _, fields := range []string{`"isGateway":true`, `"isGateway":true,"podnet":{}`} {
		h := newHost(t)
		p := h.NewPod("a")
		conf := h.conf(fields, ranges4)
		name := device.VethName("net", p.ID, "eth0")
		for _, verb := range []string{"ADD", "DEL"} {
			h.must(on(p, conf).with("ADD"))
			h.Must("ip", "link", "set", name, "alias", "uplink of web/shop")
			h.must(on(p, conf).with(verb))
		}
		if links := h.Sh("ip -o link show type veth"); strings.Contains(links, name) || len(leaseFiles(t, h)) > 0 {
			t.Errorf("left after DEL: %s %s", links, leaseFiles(t, h))
		}
	}
}

// A DEL knows a port of the bridge for its pod's by more than indices, which each namespace gives
// anew: here those of the pod's interface, whose other end is in a third namespace, and of another
// pod's port name each other.
func TestDelLeavesAnothersPort(t *testing.T) {
	h := newHost(t)
	p, q, third := h.NewPod("a"), h.NewPod("b"), h.NewPod("c")
	conf := h.conf(`"isGateway":true`, ranges4)
	h.must(on(q, conf).with("ADD"))
	indices := func(ns *lab.Namespace, link string) (own, other string) {
		t.Helper()
		out, err := ns.Exec("ip", "-o", "link", "show", link)
		if err != nil {
			t.Fatal(err)
		}
		own, rest, _ := strings.Cut(out, ": ")
		_, rest, _ = strings.Cut(rest, "@if")
		other, _, _ = strings.Cut(rest, ":")
		return own, other
	}
	port, peer := indices(h.Namespace, device.VethName("net", q.ID, "eth0"))
	if _, err := p.Exec("ip", "link", "add", "eth0", "index", peer, "type", "veth", "peer", "name", "x", "index", port, "netns", filepath.Base(third.Path)); err != nil {
		t.Fatal(err)
	}
	if own, other := indices(p.Namespace, "eth0"); own != peer || other != port {
		t.Fatalf("eth0 has the indices %s and %s, want %s and %s", own, other, peer, port)
	}
	h.must(on(p, conf).with("DEL"))
	if err := q.Ping("10.1.0.1"); err != nil {
		t.Errorf("the DEL of another pod has cut it off: %v", err)
	}
}

// The DEL that follows an ADD which was refused because the interface is there takes nothing from
// the pod that has it, whatever the network is named.
func TestDelAfterRefusedAdd(t *testing.T) {
	for name, extra := range map[string]string{"marked": `"isGateway":true,"podnet":{}`, "unmarked": `"isGateway":true`} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			conf := h.conf(extra, ranges4)
			h.must(on(p, conf).with("ADD"))
			second := call{id: "second", netns: p.Path, ifname: "eth0", conf: conf}
			h.fails(second.with("ADD"), 102, "eth0 exists")
			before := h.state()
			h.must(second.with("DEL"))
			second.conf = strings.Replace(conf, `"name":"net"`, `"name":"other"`, 1)
			if second.conf == conf {
				t.Fatalf("no name in %s", conf)
			}
			h.must(second.with("DEL"))
			same(t, "host", h.state(), before)
			if err := p.Ping("10.1.0.1"); err != nil {
				t.Error(err)
			}
			h.must(on(p, conf).with("DEL"))
		})
	}
}

// An ADD for another namespace of the same container does not take the old one away if it cannot
// succeed itself.
func TestRefusalKeepsOldAttachment(t *testing.T) {
	h := newHost(t)
	p, q := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true`, ranges4)
	h.must(on(p, conf).with("ADD"))
	h.Must("ip", "link", "add", "foreign", "type", "veth", "peer", "name", "eth0", "netns", filepath.Base(q.Path))
	before := h.state()
	h.fails(call{verb: "ADD", id: p.ID, netns: q.Path, conf: conf}, 102, "eth0 exists")
	same(t, "host", h.state(), before)
	if err := p.Ping("10.1.0.1"); err != nil {
		t.Error(err)
	}
}

// The bridge moves to another address where it is told to.
func TestForceAddress(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	h.Must("sh", "-ec", "ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0; ip link set br0 up")
	h.must(on(p, h.conf(`"isGateway":true,"forceAddress":true`, ranges4)).with("ADD"))
	if addrs := h.Sh("ip -4 -o addr show br0"); strings.Contains(addrs, "10.9.0.1") || !strings.Contains(addrs, "10.1.0.1/24") {
		t.Errorf("addresses: %s", addrs)
	}
}

// CHECK sees what the pod would feel, and says all of it.
func TestCheckFinds(t *testing.T) {
	for damage, want := range map[string]string{
		"pod: ip addr del 10.1.0.2/24 dev eth0":          "the address 10.1.0.2/24 is gone",
		"pod: ip addr del fd00:1::2/64 dev eth0":         "the address fd00:1::2/64 is gone",
		"pod: ip route del default":                      "the route to 0.0.0.0/0 via 10.1.0.1 is gone",
		"pod: ip -6 route del default":                   "the route to ::/0 via fd00:1::1 is gone",
		"pod: ip link set eth0 down":                     "it is down",
		"pod: ip link del eth0":                          "the interface is gone",
		"pod: ip link set eth0 address 02:0:0:0:0:1":     "its MAC address is 02:00:00:00:00:01",
		"ip link set br0 down":                           "the bridge br0 is down",
		"ip link del br0":                                "the bridge br0 is gone",
		"ip addr del 10.1.0.1/24 dev br0":                "lacks the gateway address 10.1.0.1/24",
		"ip addr del fd00:1::1/64 dev br0":               "lacks the gateway address fd00:1::1/64",
		"pod: ip route del 10.1.0.0/24":                  "the route to 10.1.0.0/24 is gone",
		"ip link set VETH nomaster":                      "not connected to the bridge",
		"ip link set VETH down":                          "the host's end",
		"echo 0 >/proc/sys/net/ipv4/ip_forward":          "ip_forward is off",
		"echo 0 >/proc/sys/net/ipv6/conf/all/forwarding": "forwarding is off",
		"rm LEASES/net/10.1.0.2":                         "has no lease for 10.1.0.2",
	} {
		t.Run(damage, func(t *testing.T) {
			h := newHost(t)
			p := h.NewPod("a")
			conf := h.conf(`"isDefaultGateway":true`, ranges46)
			result := h.must(on(p, conf).with("ADD"))
			if err := h.check(on(p, conf), result); err != nil {
				t.Fatal(err)
			}
			sh, inPod := strings.CutPrefix(damage, "pod: ")
			sh = strings.NewReplacer("VETH", device.VethName("net", p.ID, "eth0"), "LEASES", h.leases()).Replace(sh)
			ns := h.Namespace
			if inPod {
				ns = p.Namespace
			}
			if _, err := ns.Exec("sh", "-c", sh); err != nil {
				t.Fatal(err)
			}
			wantFault(t, h.check(on(p, conf), result), 103, want)
		})
	}
	h := newHost(t)
	wantFault(t, h.check(on(h.NewPod("a"), h.conf("", ranges4)), "null"), 7, "prevResult")
}

// A tcpdump on the bridge is not damage.
func TestCheckToleratesPromiscuous(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isDefaultGateway":true`, ranges4)
	result := h.must(on(p, conf).with("ADD"))
	h.Sh("ip link set br0 promisc on")
	if err := h.check(on(p, conf), result); err != nil {
		t.Error(err)
	}
}

// Another IPAM plugin is executed, and its DEL is called when the ADD fails further on.
func TestDelegatedIPAM(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	dir, log := t.TempDir(), filepath.Join(t.TempDir(), "log")
	script := `#!/bin/sh
cat >/dev/null
echo "$CNI_COMMAND $CNI_IFNAME" >>` + log + `
[ -e ` + dir + `/fail ] && { echo '{"code":123,"msg":"no luck","details":"today"}'; exit 1; }
[ $CNI_COMMAND = ADD ] && echo '{"cniVersion":"1.0.0","ips":[{"address":"10.7.0.5/24"}],"routes":[{"dst":"10.8.0.0/16","gw":"'$GW'"}],"dns":{"domain":"x"}}'
exit 0
`
	if err := os.WriteFile(dir+"/fake", []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := strings.Replace(h.conf(`"isGateway":true`, ""), `"ipam":{}`, `"ipam":{"type":"fake"}`, 1)
	call := on(p, conf)
	call.path = dir + ":" + lab.Program("cni")
	t.Setenv("GW", "10.7.0.1")
	run := func(verb string) (string, error) { return h.run(call.with(verb)) }
	result, err := run("ADD")
	if err != nil || !strings.Contains(result, `"10.7.0.1"`) || !strings.Contains(result, `"domain":"x"`) {
		t.Errorf("%s %v", result, err)
	}
	if _, err := run("DEL"); err != nil {
		t.Error(err)
	}
	t.Setenv("GW", "10.9.0.1") // the ADD fails after the plugin's
	_, err = run("ADD")
	wantFault(t, err, 7, "10.9.0.1")
	if err := os.WriteFile(dir+"/fail", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = run("ADD")
	wantFault(t, err, 123, "plugin fake: no luck", "today")
	said, _ := os.ReadFile(log)
	same(t, "calls", string(said), "ADD eth0\nDEL eth0\nADD eth0\nDEL eth0\nADD eth0\nDEL eth0\n")
	call.conf = strings.Replace(conf, "fake", "absent", 1)
	_, err = run("ADD")
	wantFault(t, err, 7, "absent", "CNI_PATH")
}
