package kernel

import (
	"net/netip"
	"testing"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// FuzzDecode reads anything for a message of the kernel's: none is too short, and no attribute, for
// any reader. What an address or a prefix is read of is one, or none.
func FuzzDecode(f *testing.F) {
	whole := func(typ uint16, header int, fill func(*netlink.Message)) {
		var b netlink.Batch
		fill(b.Message(typ, 0).Raw(make([]byte, header)...))
		f.Add(typ, b.Bytes()[unix.NLMSG_HDRLEN:])
	}
	number := func(types ...uint16) func(*netlink.Message) {
		return func(m *netlink.Message) {
			for _, typ := range types {
				m.Uint32(typ, 7)
				m.Bytes(typ, nil)
			}
		}
	}
	whole(unix.RTM_NEWLINK, ifInfoLen, number(unix.IFLA_GROUP, unix.IFLA_MASTER, unix.IFLA_MTU, unix.IFLA_CARRIER, unix.IFLA_LINK_NETNSID))
	whole(unix.RTM_NEWLINK, ifInfoLen, func(m *netlink.Message) {
		m.Bytes(unix.IFLA_LINKINFO, []byte{12, 0, 5, 0, 4, 0, nl.IFLA_BRPORT_MODE, 0, 4, 0, nl.IFLA_BRPORT_STATE, 0})
	})
	whole(unix.RTM_DELNEIGH, ndmLen, number(unix.NDA_DST, unix.NDA_LLADDR, unix.NDA_VNI, unix.NDA_PORT, unix.NDA_IFINDEX))
	whole(unix.RTM_DELADDR, ifaLen, number(unix.IFA_LOCAL, unix.IFA_ADDRESS))
	whole(unix.RTM_DELROUTE, rtmLen, number(unix.RTA_DST, unix.RTA_PRIORITY, unix.RTA_OIF, unix.RTA_METRICS, unix.RTA_MULTIPATH))
	whole(unix.RTM_NEWRULE, rtmLen, number(unix.FRA_PRIORITY, unix.FRA_IP_PROTO, unix.FRA_L3MDEV, unix.FRA_SRC))
	whole(unix.RTM_NEWNETCONF, netconfLen, number(1))
	whole(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN, 4, number(1, 2, 3))

	n := &Node{Watcher: newWatcher(1)}
	n.Watcher.interest.Store(&interest{want: new(state.Set), overlap: state.NewOverlaps(new(state.Set)), names: map[string]bool{}, indices: map[int32]bool{0: true, 7: true}})
	f.Fuzz(func(t *testing.T, typ uint16, body []byte) {
		var b netlink.Batch
		b.Message(typ, 0).Raw(body...)
		for _, nftables := range []bool{false, true} {
			n.Watcher.concerns(b.Bytes(), nftables)
		}
		if l, whole := netlink.ParseLink(body); whole {
			n.hostVeth(l)
			n.portOf(l)
			decodeSwitches(&state.Link{Type: "bridge"}, body)
		}
		n.decodeFate(body, &Routing{})
		n.decodeMatch(body, &Routing{})
		if r, whole := decodeRoute(body, n.Name); whole && r.Dst.IsValid() && r.Dst.Bits() > r.Dst.Addr().BitLen() {
			t.Errorf("a route to %v", r.Dst)
		}
		if len(body) >= rtmLen {
			ruleOf(body)
		}
		if len(body) >= ndmLen {
			resolutionOf("podnet.1", netip.Addr{}, body)
		}
	})
}
