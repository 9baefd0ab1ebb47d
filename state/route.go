package state

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// RouteProtocol marks podnet's routes: "podnet" in rt_protos.d.
const RouteProtocol = 72

// mainTable is the only routing table that podnet uses.
const mainTable = unix.RT_TABLE_MAIN

// Route is a route of protocol 72 in the main table: a peer's podCIDR by way of its next hop.
type Route struct {
	Dst    netip.Prefix
	Via    netip.Addr // invalid: none, or several
	Device string
	Metric uint32
	Source netip.Addr // that this host sends from, preferably; podnet's have one for IPv6, where the tunnel has no address
	Onlink bool
	TOS    uint8  // podnet's routes have none
	Odd    string // what else somebody made of it, in words; podnet's routes have nothing of the kind
}

// Key: the kernel tells routes to one place apart by metric and TOS.
func (r Route) Key() Key {
	return Key{Kind: KindRoute, Addr: r.Dst.Addr(), Bits: uint8(r.Dst.Bits()), Num: r.Metric, MAC: MAC{r.TOS}}
}
func (r Route) Parent() Key  { return linkUpKey(r.Device) }
func (r Route) Name() string { return r.Dst.String() }

func (r Route) Attrs() string {
	s := ""
	if r.Via.IsValid() {
		s = "via " + r.Via.String() + " "
	}
	s += "dev " + r.Device
	if r.Source.IsValid() {
		s += " src " + r.Source.String()
	}
	if r.Onlink {
		s += " onlink"
	}
	s = fmt.Sprintf("%s metric %d", s, r.Metric)
	if r.TOS != 0 {
		s += fmt.Sprintf(" tos %d", r.TOS)
	}
	if r.Odd != "" {
		s += " " + r.Odd
	}
	return s
}

const rtmLen = 12 // sizeof(struct rtmsg)

func (m *message) route(family, bits, tos, protocol, scope, kind uint8, flags uint32) {
	m.raw(family, bits, 0, tos, mainTable, protocol, scope, kind)
	m.buf = native.AppendUint32(m.buf, flags)
}

// liveRoute is a route as the kernel tells it, whoever made it.
type liveRoute struct {
	Route
	Protocol uint8
	Type     uint8
	Table    uint32
	Hops     []Route // of a route with several, Via and Device of each
}

// dumpRoutes hands every route of the main table to each.
func (n *Node) dumpRoutes(family uint8, reset func(), each func(liveRoute)) error {
	return withTable(n.rtnl.dump(func(c *rtnl, buf []byte) []byte {
		m := c.begin(buf, unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		m.route(family, 0, 0, 0, 0, 0, 0)
		return m.end()
	}, reset, n.decoding(each)))
}

// withTable takes the answer that there is no such table for no routes: the kernel makes the main table with its first route,
// and a host has none before its first link is up.
func withTable(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// dumpRoutesOf hands the main table's routes of a protocol over one link to each.
func (n *Node) dumpRoutesOf(family, protocol uint8, index int, reset func(), each func(liveRoute)) error {
	return withTable(n.rtnl.dump(func(c *rtnl, buf []byte) []byte {
		m := c.begin(buf, unix.RTM_GETROUTE, unix.NLM_F_DUMP)
		m.route(family, 0, 0, protocol, 0, 0, 0)
		m.attr32(unix.RTA_OIF, uint32(index))
		return m.end()
	}, reset, n.decoding(each)))
}

func (n *Node) decoding(each func(liveRoute)) func([]byte) {
	return func(body []byte) {
		if r, ok := decodeRoute(body, n.name); ok {
			each(r)
		}
	}
}

// decodeRoute reads a route's message; name gives a device's name for its index. False: it is not of the main table.
func decodeRoute(body []byte, name func(int) string) (liveRoute, bool) {
	if len(body) < rtmLen || body[4] != mainTable {
		return liveRoute{}, false
	}
	return parseRoute(body, name)
}

// parseRoute reads a route of any table; false: one that the kernel has only cached, or half a message.
func parseRoute(body []byte, name func(int) string) (liveRoute, bool) {
	if len(body) < rtmLen {
		return liveRoute{}, false
	}
	flags := native.Uint32(body[8:])
	r := liveRoute{Protocol: body[5], Type: body[7], Table: uint32(body[4])}
	r.Onlink = flags&unix.RTNH_F_ONLINK != 0
	dst := netip.IPv4Unspecified()
	if body[0] == unix.AF_INET6 {
		dst = netip.IPv6Unspecified()
	}
	attrs(body[rtmLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_DST:
			dst = ipOf(v)
		case unix.RTA_GATEWAY:
			r.Via = ipOf(v)
		case unix.RTA_OIF:
			r.Device = name(int(number(v)))
		case unix.RTA_PRIORITY:
			r.Metric = number(v)
		case unix.RTA_TABLE:
			r.Table = number(v)
		case unix.RTA_METRICS:
			r.Odd += "with metrics of its own "
		case unix.RTA_PREFSRC:
			r.Source = ipOf(v)
		case unix.RTA_MULTIPATH:
			r.Hops = decodeHops(v, name)
		}
	})
	if r.Type != unix.RTN_UNICAST {
		r.Odd += r.typeName() + " "
	}
	r.Odd = strings.TrimSpace(r.Odd)
	r.TOS = body[3]
	r.Dst = netip.PrefixFrom(dst, int(body[1]))
	return r, flags&unix.RTM_F_CLONED == 0
}

// decodeHops reads the next hops of a route with several.
func decodeHops(b []byte, name func(int) string) (hops []Route) {
	const hopLen = 8 // sizeof(struct rtnexthop)
	for len(b) >= hopLen {
		size := int(native.Uint16(b))
		if size < hopLen || size > len(b) {
			break
		}
		hop := Route{Device: name(int(native.Uint32(b[4:])))}
		attrs(b[hopLen:size], func(typ uint16, v []byte) {
			if typ == unix.RTA_GATEWAY {
				hop.Via = ipOf(v)
			}
		})
		hops = append(hops, hop)
		b = b[min(align(size), len(b)):]
	}
	return hops
}

// listRoutes reports the routes of protocol 72, and somebody else's routes that stand in the way of a desired one or take
// a part of its traffic.
func listRoutes(n *Node, want *Set, live *Live) error {
	overlap := newOverlaps(want)
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		start, conflicts := live.Routes.mark(), len(live.Conflicts)
		reset := func() { live.Routes.rewind(start); live.Conflicts = live.Conflicts[:conflicts] }
		err := n.dumpRoutes(family, reset, func(r liveRoute) {
			if r.Protocol == RouteProtocol && len(r.Hops) == 0 {
				live.Routes.Add(r.Route, OwnNode)
			} else if c, found := overlap.conflict(r); found {
				live.Conflicts = append(live.Conflicts, c)
			} else if r.Protocol == RouteProtocol {
				n.addHops(r, live)
			}
		})
		if err != nil {
			return fmt.Errorf("list routes: %w", err)
		}
	}
	astray, err := n.Misrouted(want)
	live.Conflicts = append(live.Conflicts, astray...)
	return err
}

// addHops reports podnet's part of a route that nobody wants and that somebody else has added next hops to.
func (n *Node) addHops(r liveRoute, live *Live) {
	tunnels := n.tunnels(live)
	for _, hop := range r.Hops {
		if tunnels[hop.Device] != 0 {
			r.Via, r.Device = hop.Via, hop.Device
			live.Routes.Add(r.Route, OwnNode)
		}
	}
}

// applyRoutes: a new route is made with EXCL, because REPLACE would take over somebody else's without a word, and an old
// one is deleted with everything that tells it from another. An update is both, in one write; but an IPv6 route that only sends
// from another address is replaced, so that no packet misses it.
func (n *Node) applyRoutes(changes []*Change) {
	n.batch(changes, func(c *Change) request {
		return request{ignore: absent(c, syscall.ESRCH), encode: func(conn *rtnl, buf []byte) []byte {
			if c.changesSource() {
				return n.encodeRoute(conn, buf, c.Want.(Route), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
			}
			if c.Have != nil {
				buf = n.encodeRoute(conn, buf, c.Have.(Route), unix.RTM_DELROUTE, 0)
			}
			if c.Want != nil {
				buf = n.encodeRoute(conn, buf, c.Want.(Route), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
			}
			return buf
		}}
	})
}

// changesSource says that a change of an IPv6 route is one of its source alone.
func (c *Change) changesSource() bool {
	if c.Op != Update {
		return false
	}
	have, want := c.Have.(Route), c.Want.(Route)
	have.Source = want.Source
	return have == want && want.Dst.Addr().Is6()
}

// ForgetSource takes an address out of the routes that send from it, as the kernel does when the address goes.
func (s *Set) ForgetSource(a netip.Addr) {
	for i := range s.Routes.rows {
		if r := &s.Routes.rows[i]; r.Source == a {
			r.Source = netip.Addr{}
		}
	}
}

func (n *Node) encodeRoute(conn *rtnl, buf []byte, r Route, typ, flags uint16) []byte {
	m := conn.begin(buf, typ, flags)
	var onlink uint32
	if r.Onlink {
		onlink = unix.RTNH_F_ONLINK
	}
	kind, scope := uint8(unix.RTN_UNICAST), uint8(unix.RT_SCOPE_UNIVERSE)
	if typ == unix.RTM_DELROUTE {
		kind, scope = unix.RTN_UNSPEC, unix.RT_SCOPE_NOWHERE // of any type and scope
	}
	m.route(family(r.Dst.Addr()), uint8(r.Dst.Bits()), r.TOS, RouteProtocol, scope, kind, onlink)
	m.addr(unix.RTA_DST, r.Dst.Addr())
	m.attr32(unix.RTA_PRIORITY, r.Metric)
	if r.Via.IsValid() {
		m.addr(unix.RTA_GATEWAY, r.Via)
	}
	if index := n.index(r.Device); index != 0 {
		m.attr32(unix.RTA_OIF, uint32(index))
	}
	if r.Source.IsValid() && typ == unix.RTM_NEWROUTE {
		m.addr(unix.RTA_PREFSRC, r.Source)
	}
	return m.end()
}
