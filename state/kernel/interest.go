package kernel

import (
	"encoding/binary"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// interest is what makes an announcement worth a look: what is wanted, and the devices as of the
// last pass. Hosts have much traffic of their own in these groups, pods' veths and other programs'
// routes most of all.
type interest struct {
	want    *state.Set // its indices are there
	overlap state.Overlaps
	cover   cover // of the wanted routes
	names   map[string]bool
	indices map[int32]bool
	devices map[int]string
}

func (in *interest) device(index int) string { return in.devices[index] }

// Care sets which changes are worth a look from now on: those of what is wanted and of what is in
// its way, of podnet's devices, and of the underlay.
func (n *Node) Care(want *state.Set, facts state.Facts) {
	want.Index()
	in := &interest{want: want, names: map[string]bool{facts.Underlay: true}, indices: map[int32]bool{},
		devices: map[int]string{}}
	if last := n.Watcher.interest.Load(); last != nil && last.want == want { // a set that is wanted does not change
		in.overlap, in.cover = last.overlap, last.cover
	} else {
		in.overlap, in.cover = state.NewOverlaps(want), coverOf(&want.Routes)
	}
	for _, l := range want.Links.Rows() {
		in.names[l.Device] = true
	}
	for name := range in.names {
		if i := n.Index(name); i != 0 {
			in.indices[int32(i)], in.devices[i] = true, name
		}
	}
	n.Watcher.filter.care(in.cover) // first: what is judged by the new interest must have passed
	n.Watcher.interest.Store(in)
}

var native = binary.NativeEndian

const (
	ifInfoLen  = 16 // sizeof(struct ifinfomsg)
	netconfLen = 4  // sizeof(struct netconfmsg), aligned
)

func (in *interest) message(typ uint16, body []byte) bool {
	if len(body) < 8 {
		return true
	}
	switch typ {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		return in.link(body)
	case unix.RTM_NEWNEIGH, unix.RTM_DELNEIGH:
		return in.indices[int32(native.Uint32(body[4:]))] && in.neigh(typ == unix.RTM_NEWNEIGH, body)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return in.route(typ == unix.RTM_NEWROUTE, body)
	case unix.RTM_NEWNETCONF, unix.RTM_DELNETCONF:
		return in.netconf(body)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		return body[3] != unix.RT_SCOPE_LINK || in.indices[int32(native.Uint32(body[4:]))]
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return policyRule(body)
	}
	return true
}

func (in *interest) link(body []byte) bool {
	l, ok := netlink.ParseLink(body)
	if !ok {
		return false
	}
	port := l.Master != 0 && in.indices[int32(l.Master)]
	if body[0] == unix.AF_BRIDGE {
		return port && cutsOff(l)
	}
	if in.indices[int32(l.Index)] || l.Group == device.GroupDevice || in.names[l.Name] {
		return true
	}
	// Pods come and go all day. One that has lost its bridge, or its way there, is news.
	return l.Group == device.GroupPod && !(port && l.Up())
}

// cutsOff reports whether a port has an option that cuts its pod off: options change with every pod,
// and the others are no news.
func cutsOff(l netlink.Link) bool {
	options := readPort(l)
	return options.closed() != 0
}

// neigh says whether a neighbour or FDB entry of one of podnet's devices is news. One that is just
// as it should be is not, nor is the end of one that nobody wants: both are what podnet's own
// changes look like, and the kernel does not say whose change of an FDB it was.
func (in *interest) neigh(is bool, body []byte) bool {
	if len(body) < ndmLen {
		return true
	}
	msg, device := decodeNeigh(body), in.device(int(native.Uint32(body[4:])))
	if body[0] == unix.AF_BRIDGE {
		e := msg.fdb(device)
		want, _, wanted := in.want.FDB.Find(e.Key())
		return is && (!wanted || want != e) || !is && wanted
	}
	e := msg.neigh(device)
	want, _, wanted := in.want.Neighs.Find(e.Key())
	return is && (wanted && want != e || !wanted && e.Permanent) || !is && wanted
}

// route says whether a route is news: one of podnet's protocol, likewise; one over a device that
// matters; the default route, which the underlay may be found by; and somebody else's that stands
// in the way of a wanted one. What else a routing daemon does with its own routes, by the hundred
// thousand at times, is none of podnet's business.
func (in *interest) route(is bool, body []byte) bool {
	r, main := decodeMainRoute(body, in.device)
	switch {
	case !main:
		return false
	case r.Protocol == state.RouteProtocol:
		want, _, wanted := in.want.Routes.Find(r.Route.Key())
		return is && (!wanted || want != r.Route || len(r.Hops) > 0) || !is && wanted
	case r.Protocol == unix.RTPROT_KERNEL && r.Device != "", r.Dst.Bits() == 0:
		return true
	}
	return in.overlap.Touches(r.Dst)
}

// netconf: the host's settings (a negative index), and those of the devices that matter.
func (in *interest) netconf(body []byte) bool {
	concerned := false
	netlink.EachAttribute(body[netconfLen:], func(typ uint16, v []byte) {
		if typ == 1 { // NETCONFA_IFINDEX
			index := int32(netlink.Number(v))
			concerned = index < 0 || in.indices[index]
		}
	})
	return concerned
}

// policyRule: a rule about marked packets alone is none of podnet's, whose packets have no mark.
func policyRule(body []byte) bool {
	if len(body) < rtmLen {
		return true
	}
	r := ruleOf(body)
	return r.Mark&r.Mask == 0 || r.Invert
}
