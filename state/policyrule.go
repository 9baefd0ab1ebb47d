package state

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/state/shell"
	"golang.org/x/sys/unix"
)

// PolicyRule is one of those that come before the routes: which packets are routed by which table.
type PolicyRule struct {
	Priority int
	Table    uint32
	From, To netip.Prefix // invalid: any
	In, Out  string       // "": any
	Mark     uint32       // under Mask; Mask 0: any
	Mask     uint32
	Protocol uint8 // of IP; 0: any
	Ports    Ports // of the destination; zero: any
	Special  bool  // it looks at what nobody can tell beforehand: source ports, users, tunnels
	Invert   bool
	Suppress int   // routes with fewer bits than that do not count; 0: all do
	Action   uint8 // FR_ACT_TO_TBL, FR_ACT_BLACKHOLE and so on
	IPv6     bool
}

// Ports is a range of ports, both ends included.
type Ports struct{ First, Last uint16 }

// holds reports whether a port is in the range.
func (r Ports) holds(port uint16) bool { return r == Ports{} || r.First <= port && port <= r.Last }

const (
	frToTable     = 1 // FR_ACT_TO_TBL
	frBlackhole   = 6 // FR_ACT_BLACKHOLE
	frUnreachable = 7
	frProhibit    = 8
	frInvert      = 2 // FIB_RULE_INVERT, a flag

	mainRulePriority  = 32766
	localRulePriority = 0
)

// policyRules lists a family's policy rules in the order in which the kernel tries them. The netlink package does not tell their
// actions.
func (n *Node) policyRules(ipv6 bool) ([]PolicyRule, error) {
	number := uint8(unix.AF_INET)
	if ipv6 {
		number = unix.AF_INET6
	}
	var all []PolicyRule
	err := n.rtnl.dump(func(c *rtnl, buf []byte) []byte {
		m := c.begin(buf, unix.RTM_GETRULE, unix.NLM_F_DUMP)
		m.raw(number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		return m.end()
	}, func() { all = nil }, func(body []byte) {
		if len(body) >= rtmLen && body[0] == number {
			all = append(all, ruleOf(body))
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list policy rules: %w", err)
	}
	return all, nil
}

// ruleOf reads a struct fib_rule_hdr, which is laid out like a route's, and its attributes.
func ruleOf(body []byte) PolicyRule {
	r := PolicyRule{IPv6: body[0] == unix.AF_INET6, Table: uint32(body[4]), Action: body[7], Invert: native.Uint32(body[8:])&frInvert != 0}
	attrs(body[rtmLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.FRA_PRIORITY:
			r.Priority = int(number(v))
		case unix.FRA_TABLE:
			r.Table = number(v)
		case unix.FRA_SRC:
			r.From = netip.PrefixFrom(ipOf(v), int(body[2]))
		case unix.FRA_DST:
			r.To = netip.PrefixFrom(ipOf(v), int(body[1]))
		case unix.FRA_IIFNAME:
			r.In = unix.ByteSliceToString(v)
		case unix.FRA_OIFNAME:
			r.Out = unix.ByteSliceToString(v)
		case unix.FRA_FWMARK:
			r.Mark = number(v)
		case unix.FRA_FWMASK:
			r.Mask = number(v)
		case unix.FRA_IP_PROTO:
			r.Protocol = uint8(number(v))
		case unix.FRA_DPORT_RANGE:
			if len(v) >= 4 {
				r.Ports = Ports{native.Uint16(v), native.Uint16(v[2:])}
			}
		case unix.FRA_SUPPRESS_PREFIXLEN:
			r.Suppress = int(int32(number(v))) + 1 // -1: none is suppressed
		case unix.FRA_SPORT_RANGE, unix.FRA_UID_RANGE, unix.FRA_TUN_ID, unix.FRA_L3MDEV:
			r.Special = r.Special || typ != unix.FRA_L3MDEV || number(v) != 0
		}
	})
	return r
}

// matches says whether a packet without a mark, of a socket that is bound to no device, falls under the rule.
func (r PolicyRule) matches(p Packet) bool {
	is := (!r.From.IsValid() || r.From.Contains(p.Src)) && (!r.To.IsValid() || r.To.Contains(p.Dst)) &&
		(r.In == "" || r.In == p.In || r.In == "lo" && p.In == "") && r.Out == "" &&
		r.Mark&r.Mask == 0 && (r.Protocol == 0 || r.Protocol == p.Protocol) && r.Ports.holds(p.Port) && !r.Special
	return is != r.Invert
}

// Ends says that the rule ends a packet's way: blackhole, unreachable, prohibit.
func (r PolicyRule) Ends() bool { return r.Action >= frBlackhole }

// TableName is the table as ip(8) calls it.
func (r PolicyRule) TableName() string {
	switch r.Table {
	case unix.RT_TABLE_MAIN:
		return "main"
	case unix.RT_TABLE_LOCAL:
		return "local"
	case unix.RT_TABLE_DEFAULT:
		return "default"
	}
	return fmt.Sprint(r.Table)
}

// Usual says that the rule is one of those that every host has.
func (r PolicyRule) Usual() bool {
	return r.Priority == 0 && r.Table == unix.RT_TABLE_LOCAL || r.Priority == mainRulePriority || r.Priority == mainRulePriority+1
}

// String is the rule in the words of ip(8), without its priority.
func (r PolicyRule) String() string {
	var words []string
	add := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(r.Invert, "not")
	add(r.From.IsValid(), "from %s", r.From)
	add(!r.From.IsValid(), "from all")
	add(r.To.IsValid(), "to %s", r.To)
	add(r.Mask != 0, "fwmark %#x/%#x", r.Mark, r.Mask)
	add(r.In != "", "iif %s", shell.Quote(r.In))
	add(r.Out != "", "oif %s", shell.Quote(r.Out))
	add(r.Protocol != 0, "ipproto %d", r.Protocol)
	add(r.Ports != Ports{}, "dport %d-%d", r.Ports.First, r.Ports.Last)
	switch r.Action {
	case frBlackhole:
		add(true, "blackhole")
	case frUnreachable:
		add(true, "unreachable")
	case frProhibit:
		add(true, "prohibit")
	default:
		add(true, "lookup %s", r.TableName())
		add(r.Suppress != 0, "suppress_prefixlength %d", r.Suppress-1)
	}
	return strings.Join(words, " ")
}

// Remedy is the command that takes the rule away.
func (r PolicyRule) Remedy() string {
	return fmt.Sprintf("%s del pref %d %s", r.command(), r.Priority, r)
}

// command is the program that manages rules of this one's family.
func (r PolicyRule) command() string {
	if r.IPv6 {
		return "ip -6 rule"
	}
	return "ip rule"
}

// PassBy is the command that has some packets looked up in table main before the rule is tried, and leaves the rule as it is for
// all others. Each selector is in the words of ip(8), such as "to 10.244.0.0/16".
func (r PolicyRule) PassBy(selectors ...string) string {
	var commands []string
	before, first := r.Priority-1, r.Priority <= localRulePriority+1
	if first { // no priority is left between the local table's rule and this one, which has to move back
		before = 1
		commands = append(commands, fmt.Sprintf("%s add pref 2 %s", r.command(), r))
	}
	for _, s := range selectors {
		commands = append(commands, fmt.Sprintf("%s add pref %d %s lookup main", r.command(), before, s))
	}
	if first {
		commands = append(commands, r.Remedy())
	}
	return strings.Join(commands, " && ")
}
