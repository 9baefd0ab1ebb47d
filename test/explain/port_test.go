package explain

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// TestHostPort follows packets from outside, and from pods, to a host port of a pod.
func TestHostPort(t *testing.T) {
	s := newSite(t)
	p := s.a.NewPod("site")
	p.Ports = []lab.PortMapping{{HostPort: 8080, ContainerPort: 80, Protocol: "tcp"}}
	if _, err := p.Add(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		from, to, then string
	}{
		{lab.Gateway4, s.a.IP4 + ":8080", p.Addr4() + ":80"},
		{lab.Gateway6, "[" + s.a.IP6 + "]:8080", "[" + p.Addr6() + "]:80"},
		{s.b.IP4, s.a.IP4 + ":8080", p.Addr4() + ":80"},
		{"web", s.a.IP4 + ":8080", p.Addr4() + ":80"},
	} {
		e := s.explain(s.a, 0, "--from", c.from, c.to)
		n := nat(e)
		if e.To != c.to || e.Node != "node-a" || !strings.Contains(n, " becomes "+c.then+" by ") || e.Hops[len(e.Hops)-1].Kind != "pod" {
			t.Errorf("%+v: %+v", c, e)
		}
	}
	s.explain(s.a, 0, "--from", lab.Gateway4, p.Addr4())
	s.explain(s.a, 0, "--from", "web", s.b.IP4+":8080")

	e := s.explain(s.a, 1, "--from", lab.Gateway4, s.a.IP4+":8081")
	if e.Fix != "" || !strings.Contains(e.Cause, "port 8081") || e.Advice == "" {
		t.Errorf("%+v", e)
	}
	s.looks(explanation{Look: []string{"nft list ruleset"}})
	s.a.Sh("iptables -I FORWARD -d " + p.Addr4() + " -p tcp --dport 80 -j DROP")
	e = s.explain(s.a, 1, "--from", lab.Gateway4, s.a.IP4+":8080")
	s.paste(s.a, e.Fix)
	s.explain(s.a, 0, "--from", lab.Gateway4, s.a.IP4+":8080")

	for args, says := range map[string]string{
		"--probe --from " + lab.Gateway4 + " " + s.a.IP4 + ":8080": "cannot send from there",
		"--from " + lab.Gateway4 + " " + s.db.Addr4():              "both not on this node",
		"--all --from " + lab.Gateway4:                             "--all goes from this node",
	} {
		if out := s.a.Podnetctl(append([]string{"explain"}, strings.Fields(args)...)...); out.Code != 2 || !strings.Contains(out.Stderr, says) {
			t.Errorf("%s: exit code %d, %s", args, out.Code, out.Stderr)
		}
	}
}

// nat is what the hop says that gives a packet another destination.
func nat(e explanation) string {
	for _, h := range e.Hops {
		if h.Kind == "nat" {
			return h.Detail
		}
	}
	return ""
}

// TestService has rules as kube-proxy writes them: the address is nobody's, no route leads to it,
// and connections work.
func TestService(t *testing.T) {
	s := newSite(t)
	for _, hook := range []string{"PREROUTING", "OUTPUT"} {
		s.a.Sh("iptables -t nat -N KUBE-" + hook)
		s.a.Sh("iptables -t nat -A KUBE-" + hook + " -d 10.96.0.10/32 -p tcp -m tcp --dport 53 -j DNAT --to-destination " + s.db.Addr4() + ":5353")
		s.a.Sh("iptables -t nat -A " + hook + " -j KUBE-" + hook)
	}
	s.a.Sh("ip route del default")
	for _, from := range [][]string{{"--from", "web"}, nil} {
		e := s.explain(s.a, 0, append(from, "10.96.0.10:53")...)
		if e.Node != "node-b" || !strings.Contains(nat(e), "becomes "+s.db.Addr4()+":5353 by nat KUBE-") {
			t.Errorf("%+v", e)
		}
		if e := s.explain(s.a, 0, append(from, "--probe", "10.96.0.10")...); !strings.Contains(nat(e), "by its ports") {
			t.Errorf("%+v", e)
		}
	}
}
