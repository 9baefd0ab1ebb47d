package netfilter

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/state/netlink"
)

// Of the connections that the kernel knows those go that match says yes to, and no other, whichever
// way they are listed.
func TestForgetConnections(t *testing.T) {
	c := dial(t)
	sh(t, "ip link set lo up; nft add table inet t; nft add chain inet t c '{ type filter hook output priority 0; }'; nft add rule inet t c ct state new counter")
	defer sh(t, "nft delete table inet t")
	targets := []string{"127.0.0.1:5301", "127.0.0.2:5301", "127.0.0.1:5302", "[::1]:5301"}
	connect := func(network string) {
		for _, to := range targets {
			conn, err := net.Dial(network, to)
			if err == nil {
				_, _ = conn.Write([]byte("?"))
				conn.Close()
			}
		}
	}
	here := netip.MustParseAddrPort("127.0.0.1:5301")
	sixth := netip.MustParseAddrPort("[::1]:5301")
	match := func(to netip.AddrPort) bool { return to == here || to == sixth }
	for name, forget := range map[string]func() error{
		"few": func() error { return c.ForgetConnections(17, []uint16{5301}, match) },
		"filtered by the kernel": func() error {
			for _, family := range []netlink.Family{netlink.IPv4, netlink.IPv6} {
				if err := c.forget(family, connectionFilter(17, []uint16{5301}), func(f Flow) bool { return match(f.Orig.Dst) }); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			connect("udp")
			for _, to := range targets {
				if !slices.Contains(known(t), "udp "+to) {
					t.Fatalf("the kernel does not know %s: %v", to, known(t))
				}
			}
			before := len(known(t))
			if err := forget(); err != nil {
				t.Fatal(err)
			}
			now := known(t)
			if slices.Contains(now, "udp "+targets[0]) || slices.Contains(now, "udp "+targets[3]) || len(now) != before-2 {
				t.Errorf("after: %v", now)
			}
		})
	}
}

// known are the connections of this namespace as protocol, address and port that they were opened
// to.
func known(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("/proc/thread-self/net/nf_conntrack")
	if err != nil {
		t.Skip(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		value := func(name string) string {
			for _, f := range fields {
				if v, ok := strings.CutPrefix(f, name+"="); ok {
					return v
				}
			}
			return ""
		}
		if addr, err := netip.ParseAddr(value("dst")); err == nil {
			list = append(list, fmt.Sprintf("%s %s", fields[2], net.JoinHostPort(addr.String(), value("dport"))))
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
