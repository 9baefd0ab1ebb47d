package cluster

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/tracer"
)

// gc leaves a pod alone whose ADD has its lease and no veth yet, and frees at once what an ADD has
// left that was killed there.
func TestCollectDuringAdd(t *testing.T) {
	l, _ := cluster(t, "node-a")
	n := l.Nodes[0]
	for _, c := range []struct {
		name  string
		kill  bool
		after string
	}{
		{"goes on", false, "Freed     0 leases"},
		{"is killed", true, "Freed     2 leases"}, // one of each family
	} {
		asked := 0
		adding := tracer.Tracer{Enter: func(call *tracer.Call) tracer.Verdict {
			if asked > 0 || !slices.ContainsFunc(call.Netlink(), makesLink) {
				return tracer.Verdict{}
			}
			asked++
			if out := n.Podnetctl("gc"); !strings.Contains(out.Stdout, "Freed     0 leases") {
				t.Errorf("during an ADD that %s: %+v", c.name, out)
			}
			return tracer.Verdict{Kill: c.kill}
		}}
		bridge, err := n.NewPod(strings.ReplaceAll(c.name, " ", "-")).FirstAdd()
		if err != nil {
			t.Fatal(err)
		}
		out, err := adding.Run(n.Namespace, bridge)
		if err != nil || asked != 1 || out.Killed != c.kill || !c.kill && out.Code != 0 {
			t.Errorf("an ADD that %s: asked %d times, %+v, %v", c.name, asked, out, err)
		}
		if out := n.Podnetctl("gc"); !strings.Contains(out.Stdout, c.after) {
			t.Errorf("after an ADD that %s: %+v", c.name, out)
		}
	}
}

func makesLink(m tracer.Message) bool {
	return m.Protocol == unix.NETLINK_ROUTE && m.Type == unix.RTM_NEWLINK && m.Flags&unix.NLM_F_CREATE != 0
}
