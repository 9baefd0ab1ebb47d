package kernel

import (
	"net/netip"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netfilter/verdict"
	"github.com/podnet/podnet/test/lab"
)

// Peers' packets come in by the link of the tunnel's address, unless that stands for the host as a
// whole.
func TestUnderlay(t *testing.T) {
	node := Apart(t)
	lab.Sh(t, "ip link add eth0 type veth peer name other")
	want := new(state.Set)
	want.Links.Add(state.Link{Device: "podnet.1", Type: "vxlan", Port: 8472, Local: netip.MustParseAddr("192.0.2.1")}, state.OwnNode)
	for _, c := range []struct{ prefix, device, underlay string }{
		{"192.0.2.1/24", "eth0", "eth0"},
		{"192.0.2.1/32", "eth0", verdict.Unknown},
		{"192.0.2.1/24", "lo", verdict.Unknown},
		{"192.0.2.9/24", "eth0", verdict.Unknown},
	} {
		lab.Sh(t, "ip addr add "+c.prefix+" dev "+c.device)
		if err := node.look(); err != nil {
			t.Fatal(err)
		}
		if got := node.Traffic(want).Underlay; got != c.underlay {
			t.Errorf("%s on %s: %s, want %s", c.prefix, c.device, got, c.underlay)
		}
		lab.Sh(t, "ip addr del "+c.prefix+" dev "+c.device)
	}
}
