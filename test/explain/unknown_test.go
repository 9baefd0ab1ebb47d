package explain

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// unknown are ways to lose packets that explain does not read: it says how far they come and how to
// look at the rest.
var unknown = []struct {
	name, on, off string
	cause, look   string // parts of what is said
}{
	{"a bridge's filter drops IP", "nft -f - <<E\ntable bridge f { chain pre { type filter hook prerouting priority 0; meta protocol ip drop; }; }\nE", "nft delete table bridge f",
		"do not come as far as podnet.1", "nft list ruleset"},
	{"a bridge's filter drops ARP", "nft -f - <<E\ntable bridge f { chain pre { type filter hook prerouting priority 0; meta protocol arp drop; }; }\nE; ip -n $WEB neigh flush dev eth0; ip -n $WEB neigh del 10.244.0.1 dev eth0 || true",
		"nft delete table bridge f", "", "nft list ruleset"},
	{"a device's filter drops what comes in", "nft -f - <<E\ntable netdev f { chain in { type filter hook ingress device eth0 priority 0; udp dport 8472 drop; }; }\nE", "nft delete table netdev f",
		"node-b answers, and this host drops the answer before it is out of the tunnel", "nft list ruleset"},
	{"traffic control drops what comes in", "tc qdisc add dev podnet.1 clsact && tc filter add dev podnet.1 ingress protocol ip matchall action drop", "tc qdisc del dev podnet.1 clsact",
		"", "tc -s filter"},
}

// TestUnknown wants no fix where explain has not seen the fault, and commands to look at that run.
func TestUnknown(t *testing.T) {
	s := newSite(t)
	for _, c := range unknown {
		t.Run(c.name, func(t *testing.T) {
			s := &site{T: t, a: s.a, b: s.b, web: s.web, db: s.db, topology: s.topology, lab: s.lab}
			if out := s.a.Execute("sh", "-c", strings.ReplaceAll(c.on, "$WEB", s.web.Name)); out.Code != 0 {
				t.Skipf("this kernel cannot be broken so: %s", out.Stderr)
			}
			e := s.explain(s.a, 1, "--from", "web", "--probe", s.db.Addr4())
			if e.Fix != "" || !strings.Contains(e.Cause, c.cause) || !strings.Contains(strings.Join(e.Look, "\n"), c.look) || strings.Contains(e.Note, "should heal") {
				t.Errorf("cause %s\nfix %s\nadvice %s\nlook %q", e.Cause, e.Fix, e.Advice, e.Look)
			}
			s.looks(e)
			if out := s.a.Execute("sh", "-c", c.off); out.Code != 0 {
				t.Fatal(out.Stderr)
			}
			s.mended("--from", "web", "--probe", s.db.Addr4())
		})
	}
}

// TestIPsec has policies lose packets: the kernel counts them, and podnetctl status knows the
// policy.
func TestIPsec(t *testing.T) {
	s := newSite(t)
	for name, policy := range map[string]string{
		"blocks":        "src 10.0.0.0/8 dst 10.0.0.0/8 dir fwd action block",
		"without a key": "src 192.0.2.11/32 dst 192.0.2.12/32 dir out tmpl src 192.0.2.11 dst 192.0.2.12 proto esp mode transport",
	} {
		if out := s.a.Execute("sh", "-c", "ip xfrm policy add "+policy); out.Code != 0 {
			t.Skipf("this kernel has no IPsec: %s", out.Stderr)
		}
		ask := []string{"--from", "web", "--probe", s.db.Addr4()}
		e := s.explain(s.a, 1, ask...)
		if !strings.Contains(e.Cause, "an IPsec policy of this host dropped them") || !strings.Contains(strings.Join(e.Look, ""), "ip xfrm policy") || e.Fix == "" {
			t.Errorf("%s: cause %s\nfix %s\nlook %q", name, e.Cause, e.Fix, e.Look)
		}
		t.Logf("%s -> %s", e.Cause, e.Fix)
		before := s.talks()
		s.paste(s.a, e.Fix)
		s.mended(ask...)
		s.keep(before)
		s.a.Sh("ip xfrm policy flush")
	}
}

// looks runs the commands to look with: each of their programs that is here succeeds.
func (s *site) looks(e explanation) {
	s.Helper()
	for _, line := range e.Look {
		for command := range strings.SplitSeq(line, "; ") {
			if strings.HasPrefix(line, "for ") {
				command = line
			}
			if strings.HasPrefix(command, "podnetctl") {
				continue
			}
			if out := s.a.Execute("sh", "-c", command); out.Code != 0 && !strings.Contains(command, "conntrack") {
				s.Errorf("%s: exit code %d %s", command, out.Code, out.Stderr)
			}
		}
	}
}

// What a node sends from its underlay address to another's pod is answered outside of the tunnel,
// and a strict link drops that.
func TestStrictUnderlay(t *testing.T) {
	s := newSite(t)
	ask := []string{"--from", s.a.IP4, "--probe", s.db.Addr4()}
	for _, setting := range []string{"all", "eth0"} {
		s.a.SetSysctl("net/ipv4/conf/"+setting+"/rp_filter", "1")
		e := s.explain(s.a, 1, ask...)
		if e.Fix != "sysctl -w net/ipv4/conf/eth0/rp_filter=2" || !strings.Contains(e.Cause, "reverse path filter") {
			t.Errorf("%s: cause %s\nfix %s", setting, e.Cause, e.Fix)
		}
		before := s.talks()
		s.paste(s.a, e.Fix)
		s.mended(ask...)
		s.keep(before)
		s.a.SetSysctl("net/ipv4/conf/all/rp_filter", "0")
		s.a.SetSysctl("net/ipv4/conf/eth0/rp_filter", "0")
	}
}

// TestAnswered has rules and routes look like faults while packets pass: what is answered is not
// broken.
func TestAnswered(t *testing.T) {
	s := newSite(t)
	ask := []string{"--from", "web", "--probe", s.db.Addr4()}
	for name, c := range map[string]struct{ on, off string }{
		"a set that iptables-save does not show": {"nft 'add set ip filter bad { type ipv4_addr; elements = { 203.0.113.9 } }' && nft insert rule ip filter FORWARD ip saddr @bad drop",
			"nft delete rule ip filter FORWARD handle $(nft -a list chain ip filter FORWARD | sed -n 's/.*@bad.*handle //p') && nft delete set ip filter bad"},
		"a table that iptables cannot print": {"nft insert rule ip filter FORWARD ct state vmap '{ invalid : drop }'", "nft delete rule ip filter FORWARD handle $(nft -a list chain ip filter FORWARD | sed -n 's/.*vmap.*handle //p')"},
		"another way to the same pod":        {"ip link set podnet.1 up && ip route add 10.244.1.2/32 via 192.0.2.12 dev eth0", "ip route del 10.244.1.2/32"},
	} {
		s.paste(s.a, c.on)
		s.explain(s.a, 0, ask...)
		s.paste(s.a, c.off)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestWhere has every sort of address called what it is.
func TestWhere(t *testing.T) {
	s := newSite(t, "network:", "  clusterCIDRs: [10.244.0.0/16, fd00:10:244::/48]")
	for _, c := range []struct {
		to, node string
		code     int
	}{
		{s.a.IP4, "node-a", 0}, {s.b.IP4, "node-b", 0}, {lab.Gateway4, "", 0}, {s.db.Addr4(), "node-b", 0}, {"10.244.0.1", "node-a", 0}, {"10.244.200.5", "", 1}, {"10.244.0.77", "node-a", 1},
	} {
		if e := s.explain(s.a, c.code, "--from", "web", "--probe", c.to); e.Node != c.node || c.code == 1 && (e.Fix != "" || e.Advice == "") {
			t.Errorf("%s is on %q, fix %q, advice %q", c.to, e.Node, e.Fix, e.Advice)
		}
	}
	e := s.explain(s.a, 1, "--from", "web", "10.244.200.5")
	if !strings.Contains(e.Cause, "leave the cluster by default") || !strings.Contains(e.Cause, "not masqueraded") {
		t.Errorf("%s", e.Cause)
	}
	screen := s.a.Podnetctl("explain", "--from", "web", s.b.IP4).Stdout
	if strings.Contains(screen, "outside of the cluster") {
		t.Errorf("%s", screen)
	}
}

// TestNames has a name that another one begins with, an id likewise, and a name that is no word for
// a shell.
func TestNames(t *testing.T) {
	s := newSite(t)
	other := s.a.Pod("web2")
	for _, who := range []string{"web", "default/web", s.web.ID} {
		if e := s.explain(s.a, 0, "--from", who, s.db.Addr4()); e.From != s.web.Addr4() {
			t.Errorf("--from %s is %s", who, e.From)
		}
	}
	if e := s.explain(s.a, 0, "--from", "web2", s.db.Addr4()); e.From != other.Addr4() {
		t.Errorf("--from web2 is %s", e.From)
	}
	for _, name := range []string{";reboot;", "$(reboot)", "`id`", "|id", "\x1b]0;x\a", "'\"", "a&b"} {
		if _, err := s.web.Exec("ip", "link", "set", "eth0", "down"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.web.Exec("ip", "link", "set", "eth0", "name", name); err != nil {
			t.Fatal(err)
		}
		e := s.explain(s.a, 1, "--from", s.web.Addr4(), s.db.Addr4())
		if out := s.a.Podnetctl("explain", "--from", s.web.Addr4(), s.db.Addr4()); strings.Contains(out.Stdout, "\x1b") {
			t.Errorf("%q", out.Stdout)
		}
		s.paste(s.a, e.Fix)
		s.mended("--from", "web", "--probe", s.db.Addr4())
		if _, err := s.web.Exec("ip", "link", "set", name, "down"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.web.Exec("ip", "link", "set", name, "name", "eth0"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWithoutPrograms has rules that cannot be read for want of a program: they are not known,
// which is no more than a doubt while packets are answered. Named are the tables that the packet
// passes; the lab's own is inet others.
func TestWithoutPrograms(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ program, on, says string }{
		{"nft", "nft 'add table inet fw; add chain inet fw forward { type filter hook forward priority 10; policy drop; }'", "install the package nftables (to read inet others, inet fw)"},
		{"nft", "nft 'add table ip6 fw; add chain ip6 fw forward { type filter hook forward priority 10; policy drop; }'", "(to read inet others)"},
		{"nft", "nft 'add table inet fw; add set inet fw some { type ipv4_addr; }'", "(to read inet others)"},
		{"iptables", "true", "install the package iptables"},
	} {
		t.Run(c.program+" "+c.on, func(t *testing.T) {
			s := &site{T: t, a: s.a, b: s.b, web: s.web, db: s.db, topology: s.topology, lab: s.lab}
			s.paste(s.a, c.on)
			path := os.Getenv("PATH")
			t.Setenv("PATH", lab.ProgramsWithout(t, c.program))
			e := s.explain(s.a, 1, "--from", "web", s.db.Addr4())
			if !strings.Contains(e.Cause, c.says) || !strings.Contains(e.Cause, "is not known") || e.Fix != "" || e.Advice == "" {
				t.Errorf("cause %s\nfix %s\nadvice %s", e.Cause, e.Fix, e.Advice)
			}
			if drops := strings.Contains(c.on, "inet fw forward"); !drops {
				s.explain(s.a, 0, "--from", "web", "--probe", s.db.Addr4())
			}
			t.Setenv("PATH", path)
			for _, family := range []string{"inet", "ip6"} {
				s.a.Execute("nft", "delete", "table", family, "fw") // if it is there
			}
			s.mended("--from", "web", "--probe", s.db.Addr4())
		})
	}
}

// TestOlderThanItsRange has a pod that is older than a change of its node's range: that is what is
// wrong, whatever is lost, and no command on the node mends it.
func TestOlderThanItsRange(t *testing.T) {
	s := newSite(t)
	moved := s.topology
	moved.Nodes = slices.Clone(moved.Nodes)
	moved.Nodes[0].PodCIDRs = []string{"10.244.16.0/24", "fd00:10:244:16::/64"}
	s.a.Write(moved.String())
	if out := s.a.Podnetctl("apply", "--allow-disruption"); out.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", out.Code, out.Stdout, out.Stderr)
	}
	for _, to := range []string{s.db.Addr4(), lab.Gateway4} {
		e := s.explain(s.a, 1, "--from", "web", "--probe", to)
		if e.Broken == 0 || e.Hops[e.Broken-1].Kind != "pod" || !strings.Contains(e.Cause, "older than the change of its range") || e.Fix != "" || !strings.Contains(e.Advice, "make the pod anew") {
			t.Errorf("to %s: broken hop %d of %+v\ncause %s\nfix %s\nadvice %s", to, e.Broken, e.Hops, e.Cause, e.Fix, e.Advice)
		}
	}
}
