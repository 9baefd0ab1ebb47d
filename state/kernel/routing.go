package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/podnet/podnet/state"
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

// Routing is what the kernel's routing decides for one packet, policy rules and longer prefixes included.
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
		err := n.Rtnl.ask(len(packets), func(i int, buf []byte) []byte {
			return n.encodeLookup(buf, packets[i], match)
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

func (n *Node) encodeLookup(buf []byte, p Packet, match bool) []byte {
	m := n.Rtnl.begin(buf, unix.RTM_GETROUTE, 0)
	bits := uint8(p.Dst.BitLen())
	from := bits
	if !p.Src.IsValid() {
		from = 0
	}
	m.raw(family(p.Dst), bits, from, 0, 0, 0, 0, 0)
	var flags uint32
	if match {
		flags = unix.RTM_F_FIB_MATCH
		if p.Dst.Is4() {
			flags |= unix.RTM_F_LOOKUP_TABLE // else every table is called main; IPv6 always tells, and refuses to be asked
		}
	}
	m.buf = native.AppendUint32(m.buf, flags)
	m.addr(unix.RTA_DST, p.Dst)
	if p.Src.IsValid() {
		m.addr(unix.RTA_SRC, p.Src)
	}
	if p.In != "" {
		m.attr32(unix.RTA_IIF, uint32(n.Index(p.In)))
	}
	if p.Protocol != 0 {
		m.attr(unix.RTA_IP_PROTO, []byte{p.Protocol})
	}
	if p.Port != 0 {
		m.attr(unix.RTA_DPORT, binary.BigEndian.AppendUint16(nil, p.Port))
	}
	return m.end()
}

// decodeFate reads what becomes of the packet: next hop, device, source address, MTU.
func (n *Node) decodeFate(body []byte, r *Routing) {
	if len(body) < rtmLen {
		return
	}
	r.Local = body[7] == unix.RTN_LOCAL
	attrs(body[rtmLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.RTA_GATEWAY:
			r.Via = ipOf(v)
		case unix.RTA_OIF:
			r.Device = n.Name(int(number(v)))
		case unix.RTA_PREFSRC:
			r.Src = ipOf(v)
		case unix.RTA_METRICS:
			attrs(v, func(typ uint16, v []byte) {
				if typ == unix.RTAX_MTU {
					r.MTU = int(number(v))
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
	route, _ := parseRoute(body, n.Name)
	r.matched(route)
}

func (r *Routing) matched(route liveRoute) {
	r.Dst, r.Table, r.route = route.Dst, route.Table, route
}
