package cluster

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/test/lab"
)

// forged is a frame that a pod sends, and its name.
type forged struct {
	name  string
	frame lab.Frame
}

// frames are what a pod with an interface of this MAC address and these addresses may send, and what
// it may not. Each has a text in it by which it is known.
func frames(mac, victim net.HardwareAddr, ip4, ip6, victim4, victim6 netip.Addr) (honest, attacks []forged) {
	other := net.HardwareAddr{2, 0, 0, 0, 0, 0x66}
	local, otherLocal := device.LinkLocal([6]byte(mac)), device.LinkLocal([6]byte(other))
	none4, none6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	foreign4, foreign6 := netip.MustParseAddr("10.244.0.77"), netip.MustParseAddr("fd00:10:244::77")
	everybody := netip.MustParseAddr("ff02::1")
	broadcast := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	var list *[]forged
	add := func(name string, from, to net.HardwareAddr, typ uint16, payload func(name string) []byte) {
		*list = append(*list, forged{name, lab.Frame{From: from, To: to, Type: typ, Payload: payload(name)}})
	}
	udp := func(from, to netip.Addr) func(string) []byte {
		return func(name string) []byte { return lab.UDP(from, to, name) }
	}
	arp := func(operation uint16, mac net.HardwareAddr, sender, target netip.Addr) func(string) []byte {
		return func(name string) []byte { return append(lab.ARP(operation, mac, sender, target), name...) }
	}
	icmp := func(from, to netip.Addr, extension, typ byte, target netip.Addr) func(string) []byte {
		return func(name string) []byte {
			body := append([]byte{0, 0, 0, 0}, target.AsSlice()...)
			return lab.ICMPv6(from, to, extension, typ, append(body, name...))
		}
	}

	list = &honest
	add("IPv4", mac, victim, unix.ETH_P_IP, udp(ip4, victim4))
	add("IPv6", mac, victim, unix.ETH_P_IPV6, udp(ip6, victim6))
	add("IPv6, link-local", mac, victim, unix.ETH_P_IPV6, udp(local, victim6))
	add("ARP question", mac, broadcast, unix.ETH_P_ARP, arp(1, mac, ip4, victim4))
	add("ARP answer", mac, victim, unix.ETH_P_ARP, arp(2, mac, ip4, victim4))
	add("ARP probe", mac, broadcast, unix.ETH_P_ARP, arp(1, mac, none4, ip4))
	add("neighbour solicitation", mac, victim, unix.ETH_P_IPV6, icmp(ip6, victim6, 0, 135, victim6))
	add("neighbour advertisement", mac, victim, unix.ETH_P_IPV6, icmp(ip6, victim6, 0, 136, ip6))
	add("duplicate address detection", mac, broadcast, unix.ETH_P_IPV6, icmp(none6, everybody, 0, 135, ip6))
	add("the same, link-local", mac, broadcast, unix.ETH_P_IPV6, icmp(none6, everybody, 0, 135, local))
	add("multicast listener report", mac, broadcast, unix.ETH_P_IPV6, icmp(none6, netip.MustParseAddr("ff02::16"), unix.IPPROTO_HOPOPTS, 143, none6))

	list = &attacks
	add("another MAC, IPv4", other, victim, unix.ETH_P_IP, udp(ip4, victim4))
	add("another MAC, IPv6", other, victim, unix.ETH_P_IPV6, udp(ip6, victim6))
	add("another IPv4", mac, victim, unix.ETH_P_IP, udp(foreign4, victim4))
	add("IPv4 of nobody", mac, victim, unix.ETH_P_IP, udp(none4, victim4))
	add("another IPv6", mac, victim, unix.ETH_P_IPV6, udp(foreign6, victim6))
	add("IPv6 of nobody", mac, victim, unix.ETH_P_IPV6, udp(none6, victim6))
	add("another MAC's link-local", mac, victim, unix.ETH_P_IPV6, udp(otherLocal, victim6))
	add("ARP answer for the gateway", mac, victim, unix.ETH_P_ARP, arp(2, mac, netip.MustParseAddr("10.244.0.1"), victim4))
	add("ARP question as another", mac, broadcast, unix.ETH_P_ARP, arp(1, mac, foreign4, victim4))
	add("ARP of another MAC inside", mac, victim, unix.ETH_P_ARP, arp(2, other, ip4, victim4))
	add("ARP of another MAC outside", other, victim, unix.ETH_P_ARP, arp(2, mac, ip4, victim4))
	add("RARP", mac, broadcast, 0x8035, arp(3, mac, ip4, victim4))
	for name, extension := range map[string]byte{"": 0, " behind hop-by-hop options": unix.IPPROTO_HOPOPTS,
		" behind destination options": unix.IPPROTO_DSTOPTS, " in a fragment": unix.IPPROTO_FRAGMENT} {
		add("advertisement for another"+name, mac, victim, unix.ETH_P_IPV6, icmp(ip6, victim6, extension, 136, foreign6))
		add("detection of another's address"+name, mac, broadcast, unix.ETH_P_IPV6, icmp(none6, everybody, extension, 135, foreign6))
	}
	add("advertisement of nobody", mac, victim, unix.ETH_P_IPV6, icmp(none6, victim6, 0, 136, ip6))
	add("another protocol", mac, victim, 0x9000, arp(1, mac, ip4, victim4))
	for name, source := range map[string]netip.Addr{"as it should be": ip4, "of another": foreign4} {
		for _, vlan := range []uint16{0, 5} {
			once, twice := fmt.Sprintf("VLAN %d, %s", vlan, name), fmt.Sprintf("VLAN %d in VLAN 0, %s", vlan, name)
			inside := lab.Frame{From: mac, To: victim, Type: unix.ETH_P_IP}
			inside.Payload = lab.UDP(source, victim4, once)
			attacks = append(attacks, forged{once, inside.Tagged(vlan)})
			inside.Payload = lab.UDP(source, victim4, twice)
			attacks = append(attacks, forged{twice, inside.Tagged(vlan).Tagged(0)})
		}
	}
	// The last, as the bridge then looks for the victim at the pod's port, until the victim speaks.
	add("the victim's MAC", victim, broadcast, unix.ETH_P_IP, udp(ip4, victim4))
	return honest, attacks
}

// TestAntiSpoofing has a pod with CAP_NET_RAW send frames that are not its own to a pod beside it. All
// of them arrive without antiSpoofing, and none with it: whether the pod was made before or after,
// and after podnet's tables have been deleted. What is the pod's own arrives always.
func TestAntiSpoofing(t *testing.T) {
	l, topology := cluster(t, "node-a", "node-b")
	n := l.Nodes[0]
	there := l.Nodes[1].Pod("there")
	n.Sh("ip link set cni0 type bridge mcast_snooping 0") // it shows the victim no report of others
	// The packet filters of IP would drop what comes from nobody.
	n.Sh("sysctl -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0")
	former, victim := n.Pod("former"), n.Pod("victim")
	ear, err := victim.Sniff("eth0")
	if err != nil {
		t.Fatal(err)
	}
	defer ear.Close()
	arrive := func(from *lab.Pod, all []forged) (in []string) {
		t.Helper()
		for _, f := range all {
			if err := from.Emit("eth0", f.frame.Encode()); err != nil {
				t.Fatal(err)
			}
			last := fmt.Sprint("after ", f.name)
			own := lab.Frame{From: macOf(t, from.Namespace, "eth0"), To: net.HardwareAddr{255, 255, 255, 255, 255, 255}, Type: unix.ETH_P_IP,
				Payload: lab.UDP(netip.MustParseAddr(from.Addr4()), netip.MustParseAddr(victim.Addr4()), last)}
			if err := from.Emit("eth0", own.Encode()); err != nil {
				t.Fatal(err)
			}
			if heard(t, ear, f.name, last) {
				in = append(in, f.name)
			}
		}
		return in
	}
	names := func(all []forged) (names []string) {
		for _, f := range all {
			names = append(names, f.name)
		}
		return names
	}
	try := func(when string, from *lab.Pod, judged bool) {
		t.Helper()
		honest, attacks := frames(macOf(t, from.Namespace, "eth0"), macOf(t, victim.Namespace, "eth0"), netip.MustParseAddr(from.Addr4()), netip.MustParseAddr(from.Addr6()),
			netip.MustParseAddr(victim.Addr4()), netip.MustParseAddr(victim.Addr6()))
		if in := arrive(from, honest); !slices.Equal(in, names(honest)) {
			t.Errorf("%s, %s: of what is the pod's own there arrived only %q", when, from.PodName, in)
		}
		in := arrive(from, attacks)
		t.Logf("%s, %s: of %d attacks %d got in", when, from.PodName, len(attacks), len(in))
		if judged && len(in) > 0 {
			t.Errorf("%s, %s: there got in %q", when, from.PodName, in)
		}
		for _, name := range names(attacks) {
			if !judged && !slices.Contains(in, name) {
				t.Errorf("%s, %s: not even without it arrives %q", when, from.PodName, name)
			}
		}
		reach(t, victim, from) // the bridge finds the victim at its port again
		reach(t, from, victim)
		reach(t, from, there)
	}
	try("without antiSpoofing", former, false)

	topology.Extra = []string{"network: {bridge: {antiSpoofing: true}}"}
	n.Write(topology.String())
	n.AwaitInForce()
	try("made before", former, true)
	pod := n.Pod("pod")
	try("made afterwards", pod, true)
	s, err := n.Status()
	if err != nil || s.HealedTotal["bridgePort"] > 0 {
		t.Errorf("a pod that was added counts as healed: %v, %v", s.HealedTotal, err)
	}
	for _, damage := range []string{"nft delete table bridge podnet",
		"nft flush table bridge podnet",
		"nft flush set bridge podnet pod-senders4",
		"nft flush set bridge podnet pod-senders6",
		"nft flush chain bridge podnet pod-senders",
		"nft add element bridge podnet pod-senders4 { " + hostVeth(pod) + " . " + macOf(t, pod.Namespace, "eth0").String() + " . 10.244.0.77 }",
	} {
		n.Sh(damage)
		lab.Eventually(t, lab.Patience, "healed after "+damage, func() error {
			out := n.Podnetctl("status")
			if out.Code != 0 {
				return fmt.Errorf("%s", out.Stdout)
			}
			return nil
		})
		try(damage, pod, true)
	}
	try("after all of that", former, true)

	veth := hostVeth(pod)
	if err := pod.Del(); err != nil {
		t.Fatal(err)
	}
	if sets := n.Sh("nft list table bridge podnet"); strings.Contains(sets, veth) {
		t.Errorf("after its DEL the pod may still send:\n%s", sets)
	}
	veth = hostVeth(former)
	n.Sh("ip link del " + veth) // by somebody who does not know of the sets
	lab.Eventually(t, lab.Patience, "what a vanished pod might send is gone", func() error {
		if sets := n.Sh("nft list table bridge podnet"); strings.Contains(sets, veth) {
			return fmt.Errorf("%s", sets)
		}
		return nil
	})

	topology.Extra = nil
	n.Write(topology.String())
	n.AwaitInForce()
	if sets := n.Sh("nft list table bridge podnet"); strings.Contains(sets, "senders") {
		t.Errorf("without antiSpoofing there is left:\n%s", sets)
	}
	try("without antiSpoofing again", n.Pod("last"), false)
}

// hostVeth is the name of a pod's host veth.
func hostVeth(p *lab.Pod) string { return device.VethName("podnet", p.ID, "eth0") }

// macOf is the MAC of a link of a namespace.
func macOf(t *testing.T, ns *lab.Namespace, link string) (mac net.HardwareAddr) {
	t.Helper()
	if err := ns.Do(func() error {
		l, err := net.InterfaceByName(link)
		if err == nil {
			mac = l.HardwareAddr
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return mac
}

// heard reports whether a frame with a text arrives. last is the text of one that is sent behind it; a
// frame may pass another on the way for a moment.
func heard(t *testing.T, ear *lab.Sniffer, text, last string) (found bool) {
	t.Helper()
	for wait := lab.Patience; ; {
		frame, err := ear.Next(wait)
		switch {
		case err != nil:
			t.Fatal(err)
		case frame == nil && wait == lab.Patience:
			t.Fatalf("%q never arrives", last)
		case frame == nil:
			return found
		case bytes.HasSuffix(frame, []byte(last)):
			wait = 5 * time.Millisecond
		case bytes.HasSuffix(frame, []byte(text)):
			found = true
		}
	}
}
