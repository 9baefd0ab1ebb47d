package bridge_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/cnihost"
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
				h.Succeed(on(h.NewPod("other"), h.conf(gateway, `"ranges":[[{"subnet":"10.1.0.0/24","rangeStart":"10.1.0.9"}],[{"subnet":"fd00:1::/64"}]]`)).With("ADD"))
			} else {
				h.Must("sh", "-ec", c.prepare+"; ip link set br0 up")
			}
			before := h.state()
			call := on(p, h.conf(c.fields, c.ranges)).With("ADD")
			call.Args = c.args
			if c.netns != nil {
				call.Netns = c.netns(h)
			}
			h.Fail(call, c.code, c.words...)
			cnihost.Same(t, "host", h.state(), before)
		})
	}
}

// The same fields that are refused do not keep a DEL from cleaning up.
func TestDelIsLenient(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	h.Succeed(on(p, h.conf(`"isGateway":true`, ranges4)).With("ADD"))
	h.Succeed(on(p, h.conf(`"isGateway":true,"vlan":5000,"ipMasq":true,"mtu":-1`, `"ranges":[]`)).With("DEL"))
	if left := strings.Fields(h.LeaseFiles()); len(left) > 0 || h.Sh("ip -o link show master br0") != "" {
		t.Errorf("left: %v", left)
	}
}

// A DEL leaves alone what is not this network's, even an interface of the right name, and a veth of
// the derived name that says that it is another's.
func TestDelLeavesForeign(t *testing.T) {
	h := newHost(t)
	p, q := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true`, ranges4)
	h.Succeed(on(q, conf).With("ADD"))
	h.Must("ip", "link", "add", "foreign", "type", "veth", "peer", "name", "eth0", "netns", filepath.Base(p.Path))
	before := h.state()
	h.Succeed(on(p, conf).With("DEL"))
	h.Succeed(cnihost.Call{Plugin: "bridge", Verb: "DEL", ID: "unknown", Netns: h.Namespace.Path, IfName: "eth0", Conf: conf})
	h.Succeed(cnihost.Call{Plugin: "bridge", Verb: "DEL", ID: p.ID, Netns: h.Namespace.Path, IfName: "eth0", Conf: conf})
	cnihost.Same(t, "host", h.state(), before)

	name := device.VethName("net", p.ID, "eth0")
	h.Sh("ip link add " + name + " type veth peer name x")
	h.Sh("ip link set " + name + " alias other/pod/eth0")
	before = h.state()
	h.Fail(on(p, conf).With("DEL"), 102, name, "other/pod/eth0")
	cnihost.Same(t, "host", h.state(), before)
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
			h.Succeed(on(p, conf).With("ADD"))
			h.Must("ip", "link", "set", name, "alias", "uplink of web/shop")
			h.Succeed(on(p, conf).With(verb))
		}
		if links := h.Sh("ip -o link show type veth"); strings.Contains(links, name) || len(strings.Fields(h.LeaseFiles())) > 0 {
			t.Errorf("left after DEL: %s %s", links, strings.Fields(h.LeaseFiles()))
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
	h.Succeed(on(q, conf).With("ADD"))
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
	h.Succeed(on(p, conf).With("DEL"))
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
			h.Succeed(on(p, conf).With("ADD"))
			second := cnihost.Call{Plugin: "bridge", ID: "second", Netns: p.Path, IfName: "eth0", Conf: conf}
			h.Fail(second.With("ADD"), 102, "eth0 exists")
			before := h.state()
			h.Succeed(second.With("DEL"))
			second.Conf = strings.Replace(conf, `"name":"net"`, `"name":"other"`, 1)
			if second.Conf == conf {
				t.Fatalf("no name in %s", conf)
			}
			h.Succeed(second.With("DEL"))
			cnihost.Same(t, "host", h.state(), before)
			if err := p.Ping("10.1.0.1"); err != nil {
				t.Error(err)
			}
			h.Succeed(on(p, conf).With("DEL"))
		})
	}
}

// An ADD for another namespace of the same container does not take the old one away if it cannot
// succeed itself.
func TestRefusalKeepsOldAttachment(t *testing.T) {
	h := newHost(t)
	p, q := h.NewPod("a"), h.NewPod("b")
	conf := h.conf(`"isGateway":true`, ranges4)
	h.Succeed(on(p, conf).With("ADD"))
	h.Must("ip", "link", "add", "foreign", "type", "veth", "peer", "name", "eth0", "netns", filepath.Base(q.Path))
	before := h.state()
	h.Fail(cnihost.Call{Plugin: "bridge", Verb: "ADD", ID: p.ID, Netns: q.Path, Conf: conf}, 102, "eth0 exists")
	cnihost.Same(t, "host", h.state(), before)
	if err := p.Ping("10.1.0.1"); err != nil {
		t.Error(err)
	}
}

// The bridge moves to another address where it is told to.
func TestForceAddress(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	h.Must("sh", "-ec", "ip link add br0 type bridge; ip addr add 10.9.0.1/24 dev br0; ip link set br0 up")
	h.Succeed(on(p, h.conf(`"isGateway":true,"forceAddress":true`, ranges4)).With("ADD"))
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
			result := h.Succeed(on(p, conf).With("ADD"))
			if err := h.check(on(p, conf), result); err != nil {
				t.Fatal(err)
			}
			sh, inPod := strings.CutPrefix(damage, "pod: ")
			sh = strings.NewReplacer("VETH", device.VethName("net", p.ID, "eth0"), "LEASES", h.DataDir()).Replace(sh)
			ns := h.Namespace
			if inPod {
				ns = p.Namespace
			}
			if _, err := ns.Exec("sh", "-c", sh); err != nil {
				t.Fatal(err)
			}
			cnihost.WantFault(t, h.check(on(p, conf), result), 103, want)
		})
	}
	h := newHost(t)
	cnihost.WantFault(t, h.check(on(h.NewPod("a"), h.conf("", ranges4)), "null"), 7, "prevResult")
}

// A tcpdump on the bridge is not damage.
func TestCheckToleratesPromiscuous(t *testing.T) {
	h := newHost(t)
	p := h.NewPod("a")
	conf := h.conf(`"isDefaultGateway":true`, ranges4)
	result := h.Succeed(on(p, conf).With("ADD"))
	h.Sh("ip link set br0 promisc on")
	if err := h.check(on(p, conf), result); err != nil {
		t.Error(err)
	}
}
