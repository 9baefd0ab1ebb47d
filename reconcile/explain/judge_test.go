package explain

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/podnet/podnet/schema"
	"github.com/podnet/podnet/state/kernel"
)

// TestJudgeLostProbes has what was seen of probes to a peer that nobody answered as facts, and the
// hop that they are judged to as text: its state and how far the packets came.
func TestJudgeLostProbes(t *testing.T) {
	const (
		before   = "packets do not come as far as podnet.1"
		inside   = "packets enter podnet.1 and do not leave by eth0"
		dead     = "packets leave by eth0 for 192.0.2.12, and node-b does not answer at all: it is down, or cut off"
		onTheWay = "packets leave by eth0; node-b answers at 192.0.2.12, but not through the tunnel: " +
			"they are lost on the way, or on node-b"
		bare    = "node-b answers by eth0, not through the tunnel, and this host drops the answer"
		dropped = "node-b answers, and this host drops the answer before it is out of the tunnel"
		emerged = "node-b answers, and the answer is lost between podnet.1 and 10.244.0.1"
		passes  = "; the routes, neighbours, FDB entries and packet filters that explain reads let them pass"
	)
	for name, c := range map[string]struct {
		probe Probe
		want  string
	}{
		"lost before the tunnel":  {Probe{Seen: Seen{Watched: true}}, before + passes},
		"lost in the tunnel":      {Probe{Seen: Seen{Watched: true, Entered: true}}, inside + passes},
		"the peer is silent":      {Probe{Seen: Seen{Watched: true, Entered: true, Left: true}}, dead},
		"nobody watched":          {Probe{}, dead},
		"the underlay answers":    {Probe{Direct: true}, onTheWay},
		"the answer comes bare":   {Probe{Seen: Seen{true, true, true, true, true, false}}, bare + passes},
		"the answer is dropped":   {Probe{Seen: Seen{true, true, true, true, false, false}}, dropped + passes},
		"the answer is out of it": {Probe{Seen: Seen{true, true, true, true, false, true}}, emerged + passes},
	} {
		c.probe.From = netip.MustParseAddr("10.244.0.1")
		c.probe.Echoes = []Echo{{Name: "node-b", To: netip.MustParseAddr("10.244.1.1"), Sent: 3}}
		f := &Trace{
			Site:     &Site{Tunnel: kernel.HostLink{Name: "podnet.1"}},
			To:       Target{Place: Peer, Node: &schema.Node{Name: "node-b", IP: netip.MustParseAddr("192.0.2.12")}},
			Underlay: kernel.Routing{Device: "eth0"},
			Probe:    &c.probe,
		}
		var got []string
		for _, h := range f.probeHops() {
			got = append(got, fmt.Sprintf("%s: %s: %s", h.State, h.Detail, h.cause))
		}
		want := "lost: node-b 10.244.1.1, 3 of 3 lost: " + c.want
		if have := strings.Join(got, "\n"); have != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, have, want)
		}
	}
}
