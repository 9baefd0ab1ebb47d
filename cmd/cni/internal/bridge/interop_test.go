package bridge_test

import (
	"strings"
	"testing"

	"github.com/podnet/podnet/test/cnihost"
	"github.com/podnet/podnet/test/lab"
)

// Either plugin goes on where the other stopped: pods that one made the other finds, checks, and
// removes, and no address is given twice.
func TestReferenceInterop(t *testing.T) {
	theirs, ours := cnihost.Reference(t), lab.Program("cni")
	for name, path := range map[string][2]string{"theirs first": {theirs, ours}, "ours first": {ours, theirs}} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			conf := h.conf(`"isDefaultGateway":true,"mtu":1400`, ranges46)
			a, b, c := h.NewPod("a"), h.NewPod("b"), h.NewPod("c")
			by := func(p *lab.Pod, path string) cnihost.Call { x := on(p, conf); x.Path = path; return x }
			resultA := h.Succeed(by(a, path[0]).With("ADD"))
			resultB := h.Succeed(by(b, path[1]).With("ADD"))
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
			h.Succeed(by(a, path[1]).With("DEL"))
			h.Succeed(by(b, path[0]).With("DEL"))
			cnihost.Same(t, "leases", h.LeaseFiles(), "")
			if ports := h.Sh("ip -o link show master br0"); ports != "" {
				t.Errorf("ports left: %s", ports)
			}
			for i, who := range []string{path[0], path[1], path[0], path[1]} {
				want := []string{"10.1.0.4/24", "10.1.0.5/24", "10.1.0.6/24", "10.1.0.7/24"}[i]
				if got := h.Succeed(by(c, who).With("ADD")); !strings.Contains(got, want) {
					t.Errorf("round %d: want %s in %s", i, want, got)
				}
				h.Succeed(by(c, path[1]).With("DEL"))
			}
		})
	}
}
