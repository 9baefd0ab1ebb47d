package kernel

import (
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// policyRules lists a family's policy rules in the order in which the kernel tries them. The
// vishvananda package does not tell their actions.
func (n *Node) policyRules(family netlink.Family) ([]state.PolicyRule, error) {
	var all []state.PolicyRule
	m := netlink.NewMessage(unix.RTM_GETRULE, 0).RouteHeader(unix.RtMsg{Family: uint8(family)})
	err := n.Conn.Dump(m, func() { all = nil }, func(body []byte) {
		if len(body) >= rtmLen && body[0] == uint8(family) {
			all = append(all, ruleOf(body))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list policy rules: %w", err)
	}
	return all, nil
}

// ruleOf reads a struct fib_rule_hdr, which is laid out like a route's, and its attributes.
func ruleOf(body []byte) state.PolicyRule {
	r := state.PolicyRule{IPv6: body[0] == unix.AF_INET6, Table: uint32(body[4]), Action: body[7],
		Invert: native.Uint32(body[8:])&state.RuleInvert != 0}
	netlink.EachAttribute(body[rtmLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.FRA_PRIORITY:
			r.Priority = int(netlink.Number(v))
		case unix.FRA_TABLE:
			r.Table = netlink.Number(v)
		case unix.FRA_SRC:
			r.From = netip.PrefixFrom(netlink.IP(v), int(body[2]))
		case unix.FRA_DST:
			r.To = netip.PrefixFrom(netlink.IP(v), int(body[1]))
		case unix.FRA_IIFNAME:
			r.In = unix.ByteSliceToString(v)
		case unix.FRA_OIFNAME:
			r.Out = unix.ByteSliceToString(v)
		case unix.FRA_FWMARK:
			r.Mark = netlink.Number(v)
		case unix.FRA_FWMASK:
			r.Mask = netlink.Number(v)
		case unix.FRA_IP_PROTO:
			r.Protocol = uint8(netlink.Number(v))
		case unix.FRA_DPORT_RANGE:
			if len(v) >= 4 {
				r.Ports = state.Ports{First: native.Uint16(v), Last: native.Uint16(v[2:])}
			}
		case unix.FRA_SUPPRESS_PREFIXLEN:
			r.Suppress = int(int32(netlink.Number(v))) + 1 // -1: none is suppressed
		case unix.FRA_SPORT_RANGE, unix.FRA_UID_RANGE, unix.FRA_TUN_ID, unix.FRA_L3MDEV:
			r.Special = r.Special || typ != unix.FRA_L3MDEV || netlink.Number(v) != 0
		}
	})
	return r
}

// matches says whether a packet without a mark, of a socket that is bound to no device, falls under
// the rule.
func matches(r state.PolicyRule, p Packet) bool {
	is := (!r.From.IsValid() || r.From.Contains(p.Src)) && (!r.To.IsValid() || r.To.Contains(p.Dst)) &&
		(r.In == "" || r.In == p.In || r.In == "lo" && p.In == "") && r.Out == "" &&
		r.Mark&r.Mask == 0 && (r.Protocol == 0 || r.Protocol == p.Protocol) && r.Ports.Holds(p.Port) && !r.Special
	return is != r.Invert
}
