package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// addRules finds the rule behind each decision, which the kernel does not tell, and for packets
// that go nowhere the route or the rule that says so.
func (n *Node) addRules(packets []Packet, routings []Routing) error {
	rules := map[netlink.Family][]state.PolicyRule{}
	tables := routeTables{}
	for i := range routings {
		p, r := packets[i], &routings[i]
		f := netlink.FamilyOf(p.Dst)
		if rules[f] == nil {
			var err error
			if rules[f], err = n.policyRules(f); err != nil {
				return err
			}
		}
		if r.Err != nil {
			if err := n.blame(p, r, rules[f], tables); err != nil {
				return err
			}
			continue
		}
		for _, rule := range rules[f] {
			if rule.Table == r.Table && matches(rule, p) {
				r.Rule = rule
				break
			}
		}
	}
	return nil
}

// blame walks the rules as the kernel does and finds what turned a packet away. Nothing found: no
// route matches it.
func (n *Node) blame(p Packet, r *Routing, rules []state.PolicyRule, tables routeTables) error {
	for _, rule := range rules {
		if !matches(rule, p) {
			continue
		}
		if rule.Ends() {
			r.Rule = rule
			return nil
		}
		table, err := tables.read(n, netlink.FamilyOf(p.Dst), rule.Table)
		if err != nil {
			return err
		}
		if best, found := table.longest(p.Dst); found && rule.Action <= state.RuleToTable && best.Dst.Bits() >= rule.Suppress && best.Type != unix.RTN_THROW {
			r.Rule = rule
			r.matched(best)
			return nil
		}
	}
	return nil
}

// routeTables are those that have been read, each once however many packets were turned away.
type routeTables map[tableName]*routeTable

type tableName struct {
	family netlink.Family
	number uint32
}

// routeTable is the first route to each destination, by metric.
type routeTable struct {
	routes  map[netip.Prefix]liveRoute
	lengths [129]bool // which prefixes have
}

func (t routeTables) read(n *Node, family netlink.Family, number uint32) (*routeTable, error) {
	name := tableName{family, number}
	if table := t[name]; table != nil {
		return table, nil
	}
	table := &routeTable{}
	m := netlink.NewMessage(unix.RTM_GETROUTE, 0).RouteHeader(unix.RtMsg{Family: uint8(family)})
	m.Uint32(unix.RTA_TABLE, number)
	err := n.Conn.Dump(m, func() { table.routes = map[netip.Prefix]liveRoute{} }, func(body []byte) {
		if r, real := decodeRoute(body, n.Name); real && r.Dst.IsValid() {
			table.add(r)
		}
	})
	if err != nil && !errors.Is(err, unix.ENOENT) { // a table without any route
		return nil, fmt.Errorf("list the routes of table %d: %w", number, err)
	}
	t[name] = table
	return table, nil
}

func (t *routeTable) add(r liveRoute) {
	if first, there := t.routes[r.Dst]; !there || r.Metric < first.Metric {
		t.routes[r.Dst] = r
		t.lengths[r.Dst.Bits()] = true
	}
}

// longest is the route with the longest prefix that has the address in it.
func (t *routeTable) longest(a netip.Addr) (best liveRoute, found bool) {
	for bits := a.BitLen(); bits >= 0 && !found; bits-- {
		if t.lengths[bits] {
			p, _ := a.Prefix(bits) // of as many bits as a has
			best, found = t.routes[p]
		}
	}
	return best, found
}

// HasRoute reports whether table main has a route to a destination over a link.
func (n *Node) HasRoute(dst netip.Prefix, link string) (bool, error) {
	table, err := routeTables{}.read(n, netlink.FamilyOf(dst.Addr()), state.MainTable)
	if err != nil {
		return false, err
	}
	return table.routes[dst].Device == link, nil
}
