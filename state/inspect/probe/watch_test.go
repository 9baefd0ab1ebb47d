package probe

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

const (
	testID   = 0x1234
	testPort = 4789
)

// message is an echo message of a type, with its id.
func message(t testing.TB, kind icmp.Type, id int) []byte {
	t.Helper()
	b, err := (&icmp.Message{Type: kind, Body: &icmp.Echo{ID: id, Seq: 1, Data: []byte("data")}}).Marshal(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// frame4 is body in IPv4 with an option, in Ethernet; frame6 in IPv6.
func frame4(protocol byte, body []byte) []byte {
	header := make([]byte, 24)
	header[0], header[9] = 0x46, protocol
	return append(append(ethernet(unix.ETH_P_IP), header...), body...)
}

func frame6(protocol byte, body []byte) []byte {
	header := make([]byte, 40)
	header[0], header[6] = 0x60, protocol
	return append(append(ethernet(unix.ETH_P_IPV6), header...), body...)
}

func ethernet(kind uint16) []byte { return binary.BigEndian.AppendUint16(make([]byte, 12), kind) }

// tunneled is a frame as it is between nodes.
func tunneled(frame []byte, port uint16) []byte {
	header := make([]byte, udpLen+vxlanLen)
	binary.BigEndian.PutUint16(header[2:], port)
	return append(header, frame...)
}

func TestEcho(t *testing.T) {
	request4, answer4 := message(t, ipv4.ICMPTypeEcho, testID), message(t, ipv4.ICMPTypeEchoReply, testID)
	request6, answer6 := message(t, ipv6.ICMPTypeEchoRequest, testID), message(t, ipv6.ICMPTypeEchoReply, testID)
	for _, c := range []struct {
		name            string
		frame           []byte
		request, answer bool
	}{
		{"an IPv4 request", frame4(unix.IPPROTO_ICMP, request4), true, false},
		{"an IPv4 answer", frame4(unix.IPPROTO_ICMP, answer4), false, true},
		{"an IPv6 request", frame6(unix.IPPROTO_ICMPV6, request6), true, false},
		{"an IPv6 answer", frame6(unix.IPPROTO_ICMPV6, answer6), false, true},
		{"in the tunnel over IPv4", frame4(unix.IPPROTO_UDP, tunneled(frame6(unix.IPPROTO_ICMPV6, request6), testPort)), true, false},
		{"in the tunnel over IPv6", frame6(unix.IPPROTO_UDP, tunneled(frame4(unix.IPPROTO_ICMP, answer4), testPort)), false, true},
		{"in another tunnel", frame4(unix.IPPROTO_UDP, tunneled(frame4(unix.IPPROTO_ICMP, answer4), testPort+1)), false, false},
		{"of another pinger", frame4(unix.IPPROTO_ICMP, message(t, ipv4.ICMPTypeEcho, testID+1)), false, false},
		{"a destination that cannot be reached", frame4(unix.IPPROTO_ICMP, append([]byte{3, 1}, request4[2:]...)), false, false},
		{"ARP", append(ethernet(unix.ETH_P_ARP), request4...), false, false},
	} {
		want := Sighting{c.request, c.answer, c.answer && !strings.HasPrefix(c.name, "in the tunnel")}
		if got := echo(c.frame, testID, testPort); got != want {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
		for n := range c.frame {
			echo(c.frame[:n], testID, testPort) // must not panic
		}
	}
}

// What pods and other hosts send is anything.
func FuzzEcho(f *testing.F) {
	f.Add(frame4(unix.IPPROTO_UDP, tunneled(frame6(unix.IPPROTO_ICMPV6, message(f, ipv6.ICMPTypeEchoReply, testID)), testPort)))
	f.Add(frame6(unix.IPPROTO_UDP, tunneled(frame4(unix.IPPROTO_ICMP, message(f, ipv4.ICMPTypeEcho, testID)), testPort)))
	f.Fuzz(func(t *testing.T, frame []byte) {
		if s := echo(frame, testID, testPort); s.Request && s.Answer {
			t.Error("both a request and its answer")
		}
	})
}

// The sequence numbers of a long-lived pinger come round; an answer is told by its sender too.
func TestAnswer(t *testing.T) {
	shots := []Shot{{To: netip.MustParseAddr("10.0.0.1")}, {To: netip.MustParseAddr("10.0.0.2")}}
	p := &Pinger{id: testID, from: netip.MustParseAddr("10.0.0.9")}
	reply := func(seq int) []byte {
		b, err := (&icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: &icmp.Echo{ID: testID, Seq: seq}}).Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		first, seq int
		from       string
		want       int
		ok         bool
	}{
		{0, 0, "10.0.0.1", 0, true},
		{0, 1, "10.0.0.2", 1, true},
		{0xffff, 0, "10.0.0.2", 1, true},
		{0x1ffff, 0xffff, "10.0.0.1", 0, true},
		{0, 1, "10.0.0.1", 0, false},
		{7, 6, "10.0.0.1", 0, false},
		{0, 2, "10.0.0.1", 0, false},
	} {
		i, ok := p.answer(reply(c.seq), &net.IPAddr{IP: net.ParseIP(c.from)}, c.first, shots)
		if ok != c.ok || ok && i != c.want {
			t.Errorf("%+v: shot %d, %v", c, i, ok)
		}
	}
}
