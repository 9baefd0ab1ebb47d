package kernel

import (
	"net"
	"testing"

	vishvananda "github.com/vishvananda/netlink"
)

// A policy whose transformation has an association carries packets. Kernels without ESP, such as
// that of small test machines, make none, so that this is tried on values.
func TestAssociated(t *testing.T) {
	peer := net.ParseIP("192.0.2.12")
	tmpl := vishvananda.XfrmPolicyTmpl{Dst: peer, Proto: vishvananda.XFRM_PROTO_ESP, Mode: vishvananda.XFRM_MODE_TRANSPORT, Reqid: 3}
	policy := &vishvananda.XfrmPolicy{Tmpls: []vishvananda.XfrmPolicyTmpl{tmpl}}
	good := vishvananda.XfrmState{Dst: peer, Proto: tmpl.Proto, Mode: tmpl.Mode, Reqid: 3, Spi: 7}
	larval, other, tunnel := good, good, good
	larval.Spi, other.Dst, tunnel.Mode = 0, net.ParseIP("192.0.2.13"), vishvananda.XFRM_MODE_TUNNEL
	for name, c := range map[string]struct {
		states []vishvananda.XfrmState
		want   bool
	}{
		"none": {nil, false}, "its own": {[]vishvananda.XfrmState{other, good}, true}, "one that is being negotiated": {[]vishvananda.XfrmState{larval}, false},
		"another peer's": {[]vishvananda.XfrmState{other}, false}, "another mode": {[]vishvananda.XfrmState{tunnel}, false},
	} {
		if got := associated(policy, c.states); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
