package portmap

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

func TestTraffic(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		serve(t, a.Namespace, "a", 80)
		serve(t, b.Namespace, "b", 80)
		if h.kind != nameNFTables { // as bridges have it that masquerade
			h.Sh(h.kind + " -t nat -A POSTROUTING -s 10.1.0.0/24 -d 10.1.0.0/24 -j ACCEPT")
		}
		before := h.rules()
		out, node4, node6 := h.lab.Outside(), h.IP4+":8080", "["+h.IP6+"]:8080"
		h.must(h.on(b, "8081:80/tcp", "8081:80/udp"))
		add := h.on(a, "8080:80/tcp", "8080:80/udp")
		h.must(add)
		for _, network := range []string{"tcp", "udp"} {
			// The pod sees who asks, where it can answer that directly or through the host.
			answered(t, out, network, node4, "a", lab.Gateway4)
			answered(t, out, network, node6, "a", lab.Gateway6)
			answered(t, out, network, h.IP4+":8081", "b")
			answered(t, h.Namespace, network, node4, "a", h.IP4)
			answered(t, h.Namespace, network, node6, "a", h.IP6)
			answered(t, h.Namespace, network, "10.1.0.1:8080", "a", "10.1.0.1")
			answered(t, h.Namespace, network, "127.0.0.1:8080", "a", "10.1.0.1")
			answered(t, h.Namespace, network, "127.0.0.2:8080", "a", "10.1.0.1")
			if _, err := ask(h.Namespace, network, "[::1]:8080", impatient); !errors.Is(err, unix.ECONNREFUSED) {
				t.Errorf("[::1], where a pod cannot be reached: %v", err)
			}
			// Pods, itself among them, by the host's address.
			for _, p := range []*pod{a, b} {
				answered(t, p.Namespace, network, node4, "a", "10.1.0.1")
				answered(t, p.Namespace, network, node6, "a", "fd00:1::1")
			}
			// What is not for the host is none of the plugin's business.
			answered(t, h.Namespace, network, b.ip4+":80", "b", "10.1.0.1")
			silent(t, a.Namespace, network, b.ip4+":8080")
			silent(t, out, network, h.IP4+":80")
		}
		h.must(add.as("CHECK"))
		h.must(add.as("DEL"))
		silent(t, out, "tcp", node4)
		answered(t, out, "tcp", h.IP4+":8081", "b")
		h.must(h.on(b).as("DEL"))
		same(t, "rules after DEL", h.rules(), before)
	})
}

// Without snat the pod sees everybody's own address, and nobody's answer comes back by another way.
func TestWithoutSNAT(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		serve(t, a.Namespace, "a", 80)
		h.must(h.on(a, "8080:80/tcp").with(`"snat":false`))
		answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a", lab.Gateway4)
		silent(t, h.Namespace, "tcp", "127.0.0.1:8080")
		if got, _ := h.Sysctl("net/ipv4/conf/br0/route_localnet"); got != "0" {
			t.Errorf("route_localnet is %s", got)
		}
	})
}

func TestMasqAll(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		serve(t, a.Namespace, "a", 80)
		h.must(h.on(a, "8080:80/tcp").with(`"masqAll":true,"markMasqBit":5`))
		answered(t, h.lab.Outside(), "tcp", h.IP4+":8080", "a", "10.1.0.1")
		answered(t, h.lab.Outside(), "tcp", "["+h.IP6+"]:8080", "a", "fd00:1::1")
		answered(t, h.Namespace, "tcp", "127.0.0.1:8080", "a", "10.1.0.1")
		if rules := h.rules(); strings.Contains(rules, "0x2000") || strings.Contains(rules, "0x00002000") {
			t.Errorf("the default mark is in use: %s", rules)
		}
		h.must(h.on(a).as("DEL"))
		same(t, "rules after DEL", h.rules(), "")
	})
}

func TestHostIP(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		serve(t, a.Namespace, "a", 80)
		serve(t, b.Namespace, "b", 80)
		if err := h.Batch("ip", "addr add 192.0.2.99/24 dev eth0", "addr add 2001:db8::99/64 dev eth0 nodad"); err != nil {
			t.Fatal(err)
		}
		out := h.lab.Outside()
		h.must(h.on(a, h.IP4+"=8080:80/tcp", h.IP6+"=8080:80/tcp", "127.0.0.1=8082:80/tcp", "0.0.0.0=8083:80/tcp", ":"+":=8084:80/tcp", "::ffff:192.0.2.99=8085:80/tcp"))
		h.must(h.on(b, "192.0.2.99=8080:80/tcp"))
		answered(t, out, "tcp", h.IP4+":8080", "a")
		answered(t, out, "tcp", "["+h.IP6+"]:8080", "a")
		answered(t, out, "tcp", "192.0.2.99:8080", "b")
		silent(t, out, "tcp", "[2001:db8::99]:8080")
		silent(t, h.Namespace, "tcp", "127.0.0.1:8080")
		answered(t, h.Namespace, "tcp", "127.0.0.1:8082", "a")
		silent(t, out, "tcp", h.IP4+":8082")
		answered(t, out, "tcp", "192.0.2.99:8083", "a")
		silent(t, out, "tcp", "["+h.IP6+"]:8083")
		answered(t, out, "tcp", "["+h.IP6+"]:8084", "a")
		silent(t, out, "tcp", h.IP4+":8084")
		answered(t, out, "tcp", "192.0.2.99:8085", "a")
	})
}

// The kernel's SCTP sockets are a module that few hosts have; its NAT is there in any case.
func TestSCTP(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a := h.pod("a")
		add := h.on(a, "8080:80/sctp", "8080:80/tcp")
		h.must(add)
		h.must(add.as("CHECK"))
		if got := h.rules(); !strings.Contains(got, "sctp") {
			t.Errorf("no rule for sctp: %s", got)
		}
		h.must(add.as("DEL"))
		same(t, "rules after DEL", h.rules(), "")
	})
}

// UDP has no beginning that the kernel could tell: it sends on what it remembers. Once the mapping
// is there, or has gone to another pod, a sender that never stops is answered by the right one;
// other senders are not disturbed.
func TestStaleUDP(t *testing.T) {
	forKinds(t, func(t *testing.T, h *host) {
		a, b := h.pod("a"), h.pod("b")
		serve(t, a.Namespace, "a", 53)
		serve(t, b.Namespace, "b", 53)
		serve(t, h.lab.Outside(), "outside", 5353)
		h.Sh("nft add table inet track")
		h.Must("nft", "add chain inet track c { type filter hook prerouting priority 0; }")
		h.Sh("nft add rule inet track c ct state new counter")
		for _, addr := range []string{h.IP4 + ":5353", "[" + h.IP6 + "]:5353"} {
			conn, err := open(h.lab.Outside(), "udp", addr, patient)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			other, err := open(h.Namespace, "udp", lab.Gateway4+":5353", patient)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			_, _ = say(other, patient)
			kept := connectionsTo(t, h, lab.Gateway4, "5353")
			if got, err := say(conn, impatient); err == nil {
				t.Errorf("answered without a mapping: %s", got)
			}
			for _, p := range []*pod{a, b, a} {
				add := h.on(p, "5353:53/udp")
				h.must(add)
				if got, err := say(conn, patient); !strings.HasPrefix(got, p.PodName+" ") {
					t.Errorf("%s: got %q %v, want %s", addr, got, err, p.PodName)
				}
				h.must(add.as("DEL"))
				if got, err := say(conn, impatient); err == nil {
					t.Errorf("answered after DEL: %s", got)
				}
			}
			if now := connectionsTo(t, h, lab.Gateway4, "5353"); kept == 0 || now != kept {
				t.Errorf("%d connections to another host's port 5353, %d before", now, kept)
			}
		}
	})
}
