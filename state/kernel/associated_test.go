package kernel

import (
	"net"
	"testing"

	"github.com/vishvananda/netlink"
)

// A policy whose transformation has an association carries packets. Kernels without ESP, such as that of small test machines, make
// none, so that this is tried on values.
func TestAssociated(t *testing.T) {
	peer := net.ParseIP("192.0.2.12")
	tmpl := netlink.XfrmPolicyTmpl{Dst: peer, Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT, Reqid: 3}
	policy := &netlink.XfrmPolicy{Tmpls: []netlink.XfrmPolicyTmpl{tmpl}}
	good := netlink.XfrmState{Dst: peer, Proto: tmpl.Proto, Mode: tmpl.Mode, Reqid: 3, Spi: 7}
	larval, other, tunnel := good, good, good
	larval.Spi, other.Dst, tunnel.Mode = 0, net.ParseIP("192.0.2.13"), netlink.XFRM_MODE_TUNNEL
	for name, c := range map[string]struct {
		states []netlink.XfrmState
		want   bool
	}{
		"none": {nil, false}, "its own": {[]netlink.XfrmState{other, good}, true}, "one that is being negotiated": {[]netlink.XfrmState{larval}, false},
		"another peer's": {[]netlink.XfrmState{other}, false}, "another mode": {[]netlink.XfrmState{tunnel}, false},
	} {
		if got := associated(policy, c.states); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
