package plugintest

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/test/lab"
)

// Either plugin goes on where the other stopped: pods that one made the other finds, checks, and
// removes, and no address is given twice.
func TestReferenceInterop(t *testing.T) {
	theirs, ours := reference(t), lab.Program("cni")
	for name, path := range map[string][2]string{"theirs first": {theirs, ours}, "ours first": {ours, theirs}} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			conf := h.conf(`"isDefaultGateway":true,"mtu":1400`, ranges46)
			a, b, c := h.NewPod("a"), h.NewPod("b"), h.NewPod("c")
			by := func(p *lab.Pod, path string) call { x := on(p, conf); x.path = path; return x }
			resultA := h.must(by(a, path[0]).with("ADD"))
			resultB := h.must(by(b, path[1]).with("ADD"))
			for addr, result := range map[string]string{"10.1.0.2/24": resultA, "fd00:1::2/64": resultA, "10.1.0.3/24": resultB, "fd00:1::3/64": resultB} {
				if !strings.Contains(result, addr) {
					t.Errorf("want %s in %s", addr, result)
				}
			}
			if err := a.Ping("10.1.0.3"); err != nil {
				t.Error(err)
			}
			for _, who := range path {
				if err := h.check(by(a, who), resultA); err != nil {
					t.Error(err)
				}
				if err := h.check(by(b, who), resultB); err != nil {
					t.Error(err)
				}
			}
			h.must(by(a, path[1]).with("DEL"))
			h.must(by(b, path[0]).with("DEL"))
			same(t, "leases", strings.Join(leaseFiles(t, h), " "), "")
			if ports := h.Sh("ip -o link show master br0"); ports != "" {
				t.Errorf("ports left: %s", ports)
			}
			for i, who := range []string{path[0], path[1], path[0], path[1]} {
				want := []string{"10.1.0.4/24", "10.1.0.5/24", "10.1.0.6/24", "10.1.0.7/24"}[i]
				if got := h.must(by(c, who).with("ADD")); !strings.Contains(got, want) {
					t.Errorf("round %d: want %s in %s", i, want, got)
				}
				h.must(by(c, path[1]).with("DEL"))
			}
		})
	}
}

// The reference plugin's leases look as they do without podnet's index beside them: its host-local
// finds one owner once.
func TestReferenceHostLocal(t *testing.T) {
	theirs := reference(t)
	h := newHost(t)
	ipam := func(id, path string) call {
		return call{plugin: "host-local", id: id, netns: "/run/netns/any", conf: h.conf("", ranges46), path: path}
	}
	ours := lab.Program("cni")
	h.must(ipam("one", ours).with("ADD"))
	if _, err := h.run(ipam("one", theirs).with("ADD")); err == nil || !strings.Contains(err.Error(), "10.1.0.2 has been allocated to one") {
		t.Errorf("their second ADD: %v", err)
	}
	h.must(ipam("one", theirs).with("CHECK"))
	h.must(ipam("two", theirs).with("ADD"))
	if got := h.must(ipam("two", ours).with("ADD")); !strings.Contains(got, "10.1.0.3/24") || !strings.Contains(got, "fd00:1::3/64") {
		t.Errorf("our second ADD of theirs: %s", got)
	}
	h.must(ipam("one", theirs).with("DEL"))
	same(t, "leases", strings.Join(leaseFiles(t, h), " "), "10.1.0.3 fd00:1::3")
	h.fails(ipam("one", ours).with("CHECK"), 103, "no lease")
	h.must(ipam("two", ours).with("DEL"))
	same(t, "leases", strings.Join(leaseFiles(t, h), " "), "")
}
