package state

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/state/shell"
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

// Holds reports whether a port is in the range.
func (r Ports) Holds(port uint16) bool { return r == Ports{} || r.First <= port && port <= r.Last }

const (
	RuleToTable   = 1 // FR_ACT_TO_TBL
	frBlackhole   = 6 // FR_ACT_BLACKHOLE
	frUnreachable = 7
	frProhibit    = 8
	RuleInvert    = 2 // FIB_RULE_INVERT, a flag

	MainRulePriority  = 32766
	LocalRulePriority = 0
)

// Ends says that the rule ends a packet's way: blackhole, unreachable, prohibit.
func (r PolicyRule) Ends() bool { return r.Action >= frBlackhole }

// TableName is the table as ip(8) calls it.
func (r PolicyRule) TableName() string {
	switch r.Table {
	case MainTable:
		return "main"
	case localTable:
		return "local"
	case defaultTable:
		return "default"
	}
	return fmt.Sprint(r.Table)
}

// Usual says that the rule is one of those that every host has.
func (r PolicyRule) Usual() bool {
	return r.Priority == 0 && r.Table == localTable || r.Priority == MainRulePriority || r.Priority == MainRulePriority+1
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
	return fmt.Sprintf("%s del pref %d %s", r.Command(), r.Priority, r)
}

// Command is the program that manages rules of this one's family.
func (r PolicyRule) Command() string {
	if r.IPv6 {
		return "ip -6 rule"
	}
	return "ip rule"
}

// PassBy is the command that has some packets looked up in table main before the rule is tried, and
// leaves the rule as it is for all others. Each selector is in the words of ip(8), such as "to
// 10.244.0.0/16".
func (r PolicyRule) PassBy(selectors ...string) string {
	var commands []string
	before, first := r.Priority-1, r.Priority <= LocalRulePriority+1
	if first { // no priority is left between the local table's rule and this one, which has to move back
		before = 1
		commands = append(commands, fmt.Sprintf("%s add pref 2 %s", r.Command(), r))
	}
	for _, s := range selectors {
		commands = append(commands, fmt.Sprintf("%s add pref %d %s lookup main", r.Command(), before, s))
	}
	if first {
		commands = append(commands, r.Remedy())
	}
	return strings.Join(commands, " && ")
}
