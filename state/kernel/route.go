package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

const rtmLen = unix.SizeofRtMsg

// liveRoute is a route as the kernel tells it, whoever made it.
type liveRoute struct {
	state.Route
	Protocol uint8
	Type     uint8
	Table    uint32
	Hops     []state.Route // of a route with several, Via and Device of each
}

// dumpRoutes hands every route of the main table to each.
func (n *Node) dumpRoutes(family netlink.Family, reset func(), each func(liveRoute)) error {
	m := netlink.NewMessage(unix.RTM_GETROUTE, 0).RouteHeader(unix.RtMsg{Family: uint8(family), Table: state.MainTable})
	return ignoreNoTable(n.Conn.Dump(m, reset, n.decoding(each)))
}

// ignoreNoTable returns nil for ENOENT. The kernel makes the main table with its first route, so
// a host has no such table before its first link is up.
func ignoreNoTable(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// dumpRoutesOf hands the main table's routes of a protocol over one link to each.
func (n *Node) dumpRoutesOf(family netlink.Family, protocol uint8, index int, reset func(),
	each func(liveRoute)) error {
	h := unix.RtMsg{Family: uint8(family), Table: state.MainTable, Protocol: protocol}
	m := netlink.NewMessage(unix.RTM_GETROUTE, 0).RouteHeader(h).Uint32(unix.RTA_OIF, uint32(index))
	return ignoreNoTable(n.Conn.Dump(m, reset, n.decoding(each)))
}

func (n *Node) decoding(each func(liveRoute)) func([]byte) {
	return func(body []byte) {
		if r, ok := decodeMainRoute(body, n.Name); ok {
			each(r)
		}
	}
}

// decodeMainRoute decodes a route of the main table. name returns a device's name for its index.
// decodeMainRoute reports false for a route of another table, and where decodeRoute does.
func decodeMainRoute(body []byte, name func(int) string) (liveRoute, bool) {
	if len(body) < rtmLen || body[4] != state.MainTable {
		return liveRoute{}, false
	}
	return decodeRoute(body, name)
}

// decodeRoute decodes a route of any table. It reports false for a route that the kernel has only
// cached, and for a message that is cut off.
func decodeRoute(body []byte, name func(int) string) (liveRoute, bool) {
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
	netlink.EachAttribute(body[rtmLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_DST:
			dst = netlink.IP(v)
		case unix.RTA_GATEWAY:
			r.Via = netlink.IP(v)
		case unix.RTA_OIF:
			r.Device = name(int(netlink.Number(v)))
		case unix.RTA_PRIORITY:
			r.Metric = netlink.Number(v)
		case unix.RTA_TABLE:
			r.Table = netlink.Number(v)
		case unix.RTA_METRICS:
			r.Odd += "with metrics of its own "
		case unix.RTA_PREFSRC:
			r.Source = netlink.IP(v)
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
func decodeHops(b []byte, name func(int) string) (hops []state.Route) {
	netlink.EachHop(b, func(index int, attributes []byte) {
		hop := state.Route{Device: name(index)}
		netlink.EachAttribute(attributes, func(typ uint16, v []byte) {
			if typ == unix.RTA_GATEWAY {
				hop.Via = netlink.IP(v)
			}
		})
		hops = append(hops, hop)
	})
	return hops
}

// listRoutes reports the routes of protocol 72, and somebody else's routes that stand in the way of
// a desired one or take a part of its traffic.
func listRoutes(n *Node, want *state.Set, live *state.Live) error {
	overlap := state.NewOverlaps(want)
	for _, family := range []netlink.Family{netlink.IPv4, netlink.IPv6} {
		start, conflicts := live.Routes.Mark(), len(live.Conflicts)
		reset := func() { live.Routes.Rewind(start); live.Conflicts = live.Conflicts[:conflicts] }
		err := n.dumpRoutes(family, reset, func(r liveRoute) {
			if r.Protocol == state.RouteProtocol && len(r.Hops) == 0 {
				live.Routes.Add(r.Route, state.OwnNode)
			} else if c, found := r.conflict(overlap); found {
				live.Conflicts = append(live.Conflicts, c)
			} else if r.Protocol == state.RouteProtocol {
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

// addHops reports podnet's part of a route that nobody wants and that somebody else has added next
// hops to.
func (n *Node) addHops(r liveRoute, live *state.Live) {
	tunnels := n.tunnels(live)
	for _, hop := range r.Hops {
		if tunnels[hop.Device] != 0 {
			r.Via, r.Device = hop.Via, hop.Device
			live.Routes.Add(r.Route, state.OwnNode)
		}
	}
}

// applyRoutes carries out changes of routes and leaves the error in each. It can be repeated:
// deleting a route that is gone is no error. A new route is made with NLM_F_EXCL, because
// NLM_F_REPLACE would take over somebody else's route; it fails with EEXIST if there is one.
// An update deletes and adds in one write, and packets may miss the route in between. An update
// of an IPv6 route's source alone replaces it instead, so that no packet misses it.
func (n *Node) applyRoutes(changes []*state.Change) {
	n.batch(changes, func(c *state.Change) netlink.Request {
		return netlink.Request{Ignore: absent(c, syscall.ESRCH), Encode: func(b *netlink.Batch) {
			if c.ChangesSource() {
				n.encodeRoute(b, c.Want.(state.Route), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE)
				return
			}
			if c.Have != nil {
				n.encodeRoute(b, c.Have.(state.Route), unix.RTM_DELROUTE, 0)
			}
			if c.Want != nil {
				n.encodeRoute(b, c.Want.(state.Route), unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL)
			}
		}}
	})
}

// encodeRoute appends a message that adds or deletes r. A deletion matches any type and scope. If
// the host does not have the device, the message names none: a deletion then matches by the
// other fields. The kernel refuses a new route without a device, because the gateway is on-link
// (IPv4) or link-local (IPv6).
func (n *Node) encodeRoute(b *netlink.Batch, r state.Route, typ, flags uint16) {
	h := unix.RtMsg{
		Family: uint8(netlink.FamilyOf(r.Dst.Addr())), Dst_len: uint8(r.Dst.Bits()), Tos: r.TOS, Table: state.MainTable,
		Protocol: state.RouteProtocol, Scope: unix.RT_SCOPE_UNIVERSE, Type: unix.RTN_UNICAST,
	}
	if r.Onlink {
		h.Flags = unix.RTNH_F_ONLINK
	}
	if typ == unix.RTM_DELROUTE {
		h.Type, h.Scope = unix.RTN_UNSPEC, unix.RT_SCOPE_NOWHERE // of any type and scope
	}
	m := b.Message(typ, flags).RouteHeader(h)
	m.IP(unix.RTA_DST, r.Dst.Addr())
	m.Uint32(unix.RTA_PRIORITY, r.Metric)
	if r.Via.IsValid() {
		m.IP(unix.RTA_GATEWAY, r.Via)
	}
	if index := n.Index(r.Device); index != 0 {
		m.Uint32(unix.RTA_OIF, uint32(index))
	}
	if r.Source.IsValid() && typ == unix.RTM_NEWROUTE {
		m.IP(unix.RTA_PREFSRC, r.Source)
	}
}
