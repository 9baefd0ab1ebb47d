package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// ByRule, ByVRF are the names in the keys of conflicts about routing that are no routes.
const (
	ByRule = "policy rule"
	ByVRF  = "VRF"
)

// lookupCache is what the last look at policy rules has found.
type lookupCache struct {
	want      *state.Set
	rules     []state.PolicyRule
	conflicts []state.Conflict
	until     time.Time
}

// A VPN's table has a handful of routes and is read in 0.1 ms, on every look. One with a million,
// of a routing daemon, takes a second: from manyRoutes on, what a look has found is told again
// until lookupPace times the time that it took has gone by.
const (
	manyRoutes = 4096
	lookupPace = 20
)

// Misrouted finds what keeps the packets of pods and of the tunnel from the routes in table main,
// where podnet's are: no policy rule that leads there, a rule that leads elsewhere first, an
// underlay that is in a VRF. It goes by the links and addresses as they were seen last. A host with
// only the rules that every host has costs two short dumps.
func (n *Node) Misrouted(want *state.Set) ([]state.Conflict, error) {
	if want.Addrs.Len() == 0 {
		return nil, nil
	}
	var rules []state.PolicyRule
	for _, family := range []netlink.Family{netlink.IPv4, netlink.IPv6} {
		some, err := n.policyRules(family)
		if err != nil && !(family == netlink.IPv6 && errors.Is(err, unix.EOPNOTSUPP)) { // a kernel without IPv6
			return nil, err
		}
		rules = append(rules, some...)
	}
	c := &n.lookups
	if c.want == want && slices.Equal(c.rules, rules) && time.Now().Before(c.until) {
		return c.conflicts, nil
	}
	begin := time.Now()
	l := lookup{node: n, want: want, Traffic: n.Traffic(want), rules: rules}
	conflicts, err := l.conflicts()
	if err != nil {
		return nil, err
	}
	if now := time.Now(); l.routes >= manyRoutes {
		*c = lookupCache{want, rules, conflicts, now.Add(lookupPace * now.Sub(begin))}
	}
	return conflicts, nil
}

// lookup is one look at policy rules.
type lookup struct {
	node *Node
	want *state.Set
	firewall.Traffic
	rules  []state.PolicyRule
	routes int // of other tables, as many as were read
}

func (l *lookup) conflicts() ([]state.Conflict, error) {
	out := l.inVRF()
	for _, ipv6 := range []bool{false, true} {
		missing, err := l.missing(ipv6)
		if err != nil {
			return nil, err
		}
		if len(missing) > 0 { // what other rules do is of no account meanwhile
			out = append(out, missing...)
			continue
		}
		diverted, err := l.diverted(ipv6)
		if err != nil {
			return nil, err
		}
		out = append(out, diverted...)
	}
	ipsec, err := l.ipsecConflicts()
	return append(out, ipsec...), err
}

// inVRF: packets of a socket that is bound to no device are looked up in main, and the routes of a
// link in a VRF are in the VRF's table; what comes in by the link is for the VRF's sockets alone.
func (l *lookup) inVRF() []state.Conflict {
	link := l.node.Links[l.Underlay]
	if link == nil {
		return nil
	}
	master := l.node.Links[l.node.Name(link.Attrs().MasterIndex)]
	if master == nil || master.Type() != "vrf" {
		return nil
	}
	own := l.subnet()
	return []state.Conflict{{
		Key: state.Key{Kind: state.KindRoute, Name: ByVRF}, Name: l.Underlay, Counts: true,
		Owner: fmt.Sprintf("it is in the VRF %s: the tunnel's packets are looked up in table main, which has no route over it, and none is let in",
			master.Attrs().Name),
		Remedy: fmt.Sprintf("ip route replace %s dev %s src %s && sysctl -w net.ipv4.udp_l3mdev_accept=1", own.Masked(),
			l.Underlay, l.Local),
	}}
}

// subnet is the tunnel's own end with the prefix length of its subnet; invalid: it is on no link.
func (l *lookup) subnet() netip.Prefix {
	for _, a := range l.node.Addrs {
		if p := prefixOf(a.IPNet); p.Addr() == l.Local {
			return p
		}
	}
	return netip.Prefix{}
}

// missing finds the tables that podnet stands on and to which no policy rule leads. The kernel has
// the last word: in IPv6 it looks into both, whatever the rules, as long as nobody has ever added
// one.
func (l *lookup) missing(ipv6 bool) ([]state.Conflict, error) {
	local, err := l.missingRule(ipv6, unix.RT_TABLE_LOCAL, state.LocalRulePriority, l.toSelf(ipv6),
		"so that this host does not know its own addresses")
	if err != nil {
		return nil, err
	}
	routes, err := l.missingRule(ipv6, unix.RT_TABLE_MAIN, state.MainRulePriority, l.toOwnPod(ipv6),
		"so that podnet's routes, and the host's, have no effect")
	return append(local, routes...), err
}

// missingRule says whether no rule has the packet looked up in a table.
func (l *lookup) missingRule(ipv6 bool, table uint32, priority int, p Packet, effect string) ([]state.Conflict, error) {
	if !p.Dst.IsValid() || l.leads(p, table) != nil {
		return nil, nil
	}
	routings, err := l.node.routings([]Packet{p})
	if err != nil {
		return nil, err
	}
	if routings[0].Err == nil && routings[0].Table == table {
		return nil, nil
	}
	rule := state.PolicyRule{Table: table, Priority: priority, IPv6: ipv6}
	return []state.Conflict{{
		Key: state.Key{Kind: state.KindRoute, Name: ByRule}, Name: ruleName(rule), Counts: true,
		Owner:  fmt.Sprintf("no policy rule leads to table %s, %s", rule.TableName(), effect),
		Remedy: fmt.Sprintf("%s add pref %d lookup %s", rule.Command(), priority, rule.TableName()),
	}}, nil
}

// leads is the first rule that has a packet looked up in a table; nil: there is none.
func (l *lookup) leads(p Packet, table uint32) *state.PolicyRule {
	for i := range l.rules {
		r := &l.rules[i]
		if r.IPv6 == p.Dst.Is6() && r.Table == table && r.Action == state.RuleToTable && r.Suppress <= podBits &&
			matches(*r, p) {
			return r
		}
	}
	return nil
}

// podBits is the shortest prefix that a route to pods has in practice: a rule that leaves out
// shorter ones leaves out none of podnet's.
const podBits = 8

// toSelf is what arrives for this host's address on the bridge; without a Dst: pods do not speak
// the family.
func (l *lookup) toSelf(ipv6 bool) Packet {
	for _, a := range l.want.Addrs.Rows() {
		if a.Device == l.Bridge && a.Prefix.Addr().Is6() == ipv6 {
			return Packet{Dst: a.Prefix.Addr()}
		}
	}
	return Packet{}
}

// toOwnPod is what the host sends to a pod of its own.
func (l *lookup) toOwnPod(ipv6 bool) Packet {
	p := l.toSelf(ipv6)
	if p.Dst.IsValid() {
		p.Dst = p.Dst.Next()
	}
	return p
}

// ruleName is what a conflict calls the rule.
func ruleName(r state.PolicyRule) string { return fmt.Sprintf("rule %d", r.Priority) }
