package kernel

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/shell"
	"golang.org/x/sys/unix"
)

// conflict says what a route of another owner does to a desired one: it sits in its place (same
// destination and metric), is preferred to it (lower metric), or takes a part of its addresses
// (longer prefix).
func (r liveRoute) conflict(o state.Overlaps) (state.Conflict, bool) {
	for _, bits := range o.Bits {
		p, err := r.Dst.Addr().Prefix(int(bits))
		if err != nil || int(bits) > r.Dst.Bits() {
			continue
		}
		want, _, found := o.Want.Find(state.Route{Dst: p, Metric: state.PeerMetric(p)}.Key())
		if !found || r.Dst == p && r.Metric > want.Metric {
			continue
		}
		c := state.Conflict{Key: want.Key(), Name: r.Dst.String(), Owner: r.owner(), Remedy: r.remedy()}
		switch {
		case r.Dst != p:
			c.Owner += fmt.Sprintf(": takes a part of %s", p)
		case r.Metric == want.Metric:
			c.Blocks = true
			c.Owner = fmt.Sprintf("a route (%s) that podnet did not make", c.Owner)
		default:
			c.Owner += fmt.Sprintf(": preferred to podnet's route (metric %d)", want.Metric)
		}
		return c, true
	}
	return state.Conflict{}, false
}

// hop is where the route leads, as ip(8) has it, with a space in front; of several hops, those that
// are not podnet's.
func (r liveRoute) hop() string {
	if r.Type != unix.RTN_UNICAST {
		return ""
	}
	hops := r.Hops
	if len(hops) == 0 {
		hops = []state.Route{r.Route}
	}
	s := ""
	for _, h := range hops {
		if len(r.Hops) > 0 && r.Protocol == state.RouteProtocol && h.Via.IsLinkLocalUnicast() {
			continue
		}
		if h.Via.IsValid() {
			s += " via " + h.Via.String()
		}
		if h.Device != "" {
			s += " dev " + shell.Quote(h.Device)
		}
	}
	return s
}

// typeName is what ip(8) calls a route that leads nowhere.
func (r liveRoute) typeName() string {
	name, known := map[uint8]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable",
		unix.RTN_PROHIBIT: "prohibit"}[r.Type]
	if !known {
		name = fmt.Sprintf("type %d", r.Type)
	}
	return name
}

func (r liveRoute) owner() string {
	name, known := map[uint8]string{
		unix.RTPROT_KERNEL: "kernel", unix.RTPROT_BOOT: "boot", unix.RTPROT_STATIC: "static", unix.RTPROT_RA: "ra",
		unix.RTPROT_DHCP: "dhcp", unix.RTPROT_BGP: "bgp", unix.RTPROT_OSPF: "ospf", unix.RTPROT_ZEBRA: "zebra",
		unix.RTPROT_BIRD: "bird",
	}[r.Protocol]
	if !known {
		name = fmt.Sprint(r.Protocol)
	}
	what := r.hop()
	switch {
	case r.Type != unix.RTN_UNICAST:
		what = r.typeName()
	case len(r.Hops) > 0:
		what = fmt.Sprintf("%d next hops,%s among them,", len(r.Hops), what)
	}
	return strings.TrimSpace(fmt.Sprintf("%s proto %s metric %d", what, name, r.Metric))
}

func (r liveRoute) remedy() string {
	if r.Protocol == unix.RTPROT_KERNEL && r.Table == state.MainTable && r.Source.IsValid() { // it goes with its address
		return fmt.Sprintf("ip addr del %s dev %s", netip.PrefixFrom(r.Source, r.Dst.Bits()), shell.Quote(r.Device))
	}
	six, kind, table := "", "", ""
	if r.Dst.Addr().Is6() {
		six = "-6 "
	}
	if r.Type != unix.RTN_UNICAST {
		kind = r.typeName() + " "
	}
	if r.Table != state.MainTable {
		table = fmt.Sprintf(" table %d", r.Table)
	}
	return fmt.Sprintf("ip %sroute del %s%s%s metric %d%s", six, kind, r.Dst, r.hop(), r.Metric, table)
}

// foreignAddresses: an address of another link inside this node's own podCIDR takes pods'
// addresses, or the whole range, away from the bridge. One beside it whose subnet is wider does
// not.
func (n *Node) foreignAddresses(want *state.Set) []state.Conflict {
	var out []state.Conflict
	for _, own := range want.Addrs.Rows() {
		for _, a := range n.Addrs {
			p, link := prefixOf(a.IPNet), n.Links[n.Name(a.LinkIndex)]
			if own.Prefix.IsSingleIP() || !p.IsValid() || !own.Prefix.Masked().Contains(p.Addr()) || link == nil || link.Attrs().
				Group == device.GroupDevice {
				continue
			}
			name := link.Attrs().Name
			if _, _, wanted := want.Links.Find(state.LinkKey(name)); wanted { // of another owner: that is a conflict itself
				continue
			}
			out = append(out, state.Conflict{
				Key: own.Key(), Name: p.String(),
				Owner:  fmt.Sprintf("an address of %s, in this node's podCIDR %s", name, own.Prefix.Masked()),
				Remedy: fmt.Sprintf("ip addr del %s dev %s", p, shell.Quote(name)),
			})
		}
	}
	return out
}
