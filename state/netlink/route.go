package netlink

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// Route is a unicast route over a link. A Gateway that is not valid: none.
type Route struct {
	Dst             netip.Prefix
	Gateway         netip.Addr
	Index           int
	Table, Priority int // table 0: main
	Scope           uint8
	Protocol        uint8 // who made it, as read; Put has it be RTPROT_BOOT
	MTU, AdvMSS     int   // for Put alone
}

// Put adds the route beside others to the same destination, over another link for example, where
// the kernel has the last one go first for IPv4 and takes turns for IPv6: EEXIST, ENETUNREACH,
// EHOSTUNREACH.
func (r Route) Put() *Message {
	m := NewMessage(unix.RTM_NEWROUTE, unix.NLM_F_CREATE).RouteHeader(unix.RtMsg{
		Family: uint8(FamilyOf(r.Dst.Addr())), Dst_len: uint8(r.Dst.Bits()),
		Protocol: unix.RTPROT_BOOT, Scope: r.Scope, Type: unix.RTN_UNICAST,
	})
	m.IP(unix.RTA_DST, r.Dst.Addr()).Uint32(unix.RTA_OIF, uint32(r.Index)).Uint32(unix.RTA_TABLE, uint32(r.table()))
	if r.Gateway.IsValid() {
		m.IP(unix.RTA_GATEWAY, r.Gateway)
	}
	if r.Priority != 0 {
		m.Uint32(unix.RTA_PRIORITY, uint32(r.Priority))
	}
	if r.MTU == 0 && r.AdvMSS == 0 {
		return m
	}
	return m.Nest(unix.RTA_METRICS, func(m *Message) {
		if r.MTU != 0 {
			m.Uint32(unix.RTAX_MTU, uint32(r.MTU))
		}
		if r.AdvMSS != 0 {
			m.Uint32(unix.RTAX_ADVMSS, uint32(r.AdvMSS))
		}
	})
}

func (r Route) table() int {
	if r.Table == 0 {
		return unix.RT_TABLE_MAIN
	}
	return r.Table
}

// HasRoute compares table, link, destination, gateway and, if there is one, priority.
func (c *Conn) HasRoute(want Route) (bool, error) {
	list, err := c.Routes(FamilyOf(want.Dst.Addr()), want.table(), want.Index)
	return slices.ContainsFunc(list, func(r Route) bool { return r.Table == want.table() && want.same(r) }), err
}

// same compares everything but the table.
func (r Route) same(other Route) bool {
	return r.Dst == other.Dst && r.Gateway == other.Gateway && r.Index == other.Index &&
		(r.Priority == 0 || r.Priority == other.Priority)
}

// InAnyTable reports whether a list has the route, or one in another table, which may have another
// priority there.
func (r Route) InAnyTable(list []Route) bool {
	moved := r
	moved.Priority = 0
	return slices.ContainsFunc(list, func(other Route) bool {
		if other.Table == r.table() {
			return r.same(other)
		}
		return moved.same(other)
	})
}

// Routes lists the routes of a family, of a table and over a link, 0: all of them. Each hop of
// several is a route by itself.
func (c *Conn) Routes(family Family, table, index int) ([]Route, error) {
	m := NewMessage(unix.RTM_GETROUTE, 0).RouteHeader(unix.RtMsg{Family: uint8(family)})
	if table != 0 {
		m.Uint32(unix.RTA_TABLE, uint32(table))
	}
	if index != 0 {
		m.Uint32(unix.RTA_OIF, uint32(index))
	}
	data, err := c.list(m)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) { // no such table; no such family
		return nil, nil
	}
	var list []Route
	for _, d := range data {
		for _, r := range parseRoute(d) {
			if (table == 0 || r.Table == table) && (index == 0 || r.Index == index) {
				list = append(list, r)
			}
		}
	}
	return list, err
}

func parseRoute(d []byte) []Route {
	if len(d) < unix.SizeofRtMsg {
		return nil
	}
	attrs := attributes(d[unix.SizeofRtMsg:])
	dst := IP(attrs[unix.RTA_DST])
	switch {
	case dst.IsValid():
	case d[0] == unix.AF_INET:
		dst = netip.IPv4Unspecified()
	default:
		dst = netip.IPv6Unspecified()
	}
	r := Route{
		Dst: netip.PrefixFrom(dst,
			int(d[1])), Table: int(Number(attrs[unix.RTA_TABLE])), Priority: int(Number(attrs[unix.RTA_PRIORITY])),
		Protocol: d[5], Scope: d[6],
	}
	hops := attrs[unix.RTA_MULTIPATH]
	if hops == nil {
		return []Route{r.over(int(Number(attrs[unix.RTA_OIF])), attrs)}
	}
	var list []Route
	EachHop(hops, func(index int, hop []byte) { list = append(list, r.over(index, attributes(hop))) })
	return list
}

// over is the route by one of its hops.
func (r Route) over(index int, hop map[uint16][]byte) Route {
	r.Index = index
	r.Gateway = IP(hop[unix.RTA_GATEWAY])
	return r
}
