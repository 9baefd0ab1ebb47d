package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/shell"
	"golang.org/x/sys/unix"
)

// Packet is what the kernel's routing is asked about.
type Packet struct {
	Src, Dst netip.Addr // Src invalid: the host chooses
	In       string     // the device that it comes in by; "": this host makes it
	Protocol uint8      // of IP, such as unix.IPPROTO_UDP; 0: any
	Port     uint16     // of the destination; 0: any
}

// Routing is what the kernel's routing decides for one packet, policy rules and longer prefixes
// included.
type Routing struct {
	Err    error        // why it goes nowhere; the rest is about the route that says so, if there is one
	Dst    netip.Prefix // of the route that matches; invalid: none does
	Table  uint32
	Via    netip.Addr // invalid: the destination is on link
	Device string
	Src    netip.Addr       // that this host would send from
	MTU    int              // of the route if it has one, else of its device; bytes
	Local  bool             // the packet is for this host
	Rule   state.PolicyRule // the policy rule that leads to the table

	route liveRoute
}

// Owner is who made the route, as far as that is told, with its metric.
func (r Routing) Owner() string { return r.route.owner() }

// Remedy is the command that takes the route away.
func (r Routing) Remedy() string { return r.route.remedy() }

// String is the way in the words of ip(8), for a shell.
func (r Routing) String() string {
	if !r.Dst.IsValid() {
		return "none"
	}
	s := r.Dst.String()
	if r.Dst.Bits() == 0 {
		s = "default"
	}
	if r.Via.IsValid() {
		s += " via " + r.Via.String()
	}
	if r.Device != "" {
		s += " dev " + shell.Quote(r.Device)
	}
	return s
}

// Routings asks the kernel where each packet goes.
func (n *Node) Routings(packets []Packet) ([]Routing, error) {
	if err := n.ReadLinks(); err != nil {
		return nil, err
	}
	return n.routings(packets)
}

// routings is Routings with the links as they were seen last.
func (n *Node) routings(packets []Packet) ([]Routing, error) {
	out := make([]Routing, len(packets))
	for _, match := range []bool{false, true} { // what becomes of the packet; then the route that says so
		err := n.Conn.Ask(len(packets), func(i int, b *netlink.Batch) {
			n.encodeLookup(b, packets[i], match)
		}, func(i int, body []byte, err error) {
			switch {
			case err != nil:
				out[i].Err = err
			case !match:
				n.decodeFate(body, &out[i])
			default:
				n.decodeMatch(body, &out[i])
			}
		})
		if err != nil {
			return nil, fmt.Errorf("look routes up: %w", err)
		}
	}
	return out, n.addRules(packets, out)
}

func (n *Node) encodeLookup(b *netlink.Batch, p Packet, match bool) {
	h := unix.RtMsg{Family: uint8(netlink.FamilyOf(p.Dst)), Dst_len: uint8(p.Dst.BitLen()), Src_len: uint8(p.Src.BitLen())}
	if match {
		h.Flags = unix.RTM_F_FIB_MATCH
		if p.Dst.Is4() {
			h.Flags |= unix.RTM_F_LOOKUP_TABLE // else every table is called main; IPv6 always tells, and refuses to be asked
		}
	}
	m := b.Message(unix.RTM_GETROUTE, 0).RouteHeader(h).IP(unix.RTA_DST, p.Dst)
	if p.Src.IsValid() {
		m.IP(unix.RTA_SRC, p.Src)
	}
	if p.In != "" {
		m.Uint32(unix.RTA_IIF, uint32(n.Index(p.In)))
	}
	if p.Protocol != 0 {
		m.Uint8(unix.RTA_IP_PROTO, p.Protocol)
	}
	if p.Port != 0 {
		m.Bytes(unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, p.Port))
	}
}

// decodeFate reads what becomes of the packet: next hop, device, source address, MTU.
func (n *Node) decodeFate(body []byte, r *Routing) {
	if len(body) < rtmLen {
		return
	}
	r.Local = body[7] == unix.RTN_LOCAL
	netlink.EachAttribute(body[rtmLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_GATEWAY:
			r.Via = netlink.IP(v)
		case unix.RTA_OIF:
			r.Device = n.Name(int(netlink.Number(v)))
		case unix.RTA_PREFSRC:
			r.Src = netlink.IP(v)
		case unix.RTA_METRICS:
			netlink.EachAttribute(v, func(typ uint16, v []byte) {
				if typ == unix.RTAX_MTU {
					r.MTU = int(netlink.Number(v))
				}
			})
		}
	})
	if l := n.Links[r.Device]; l != nil && r.MTU == 0 {
		r.MTU = l.Attrs().MTU
	}
}

// decodeMatch reads the route that decided.
func (n *Node) decodeMatch(body []byte, r *Routing) {
	route, _ := decodeRoute(body, n.Name)
	r.matched(route)
}

func (r *Routing) matched(route liveRoute) {
	r.Dst, r.Table, r.route = route.Dst, route.Table, route
}
