package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/podnet/podnet/state/device"
	"golang.org/x/sys/unix"
)

// Watch pokes the returned channel whenever the kernel announces a change of what podnet may care about: links, addresses,
// routes, neighbours, FDB, forwarding settings, nftables. A poke says nothing else; one stands for any number of changes.
// Until it is taken nothing more is read: what a storm sends meanwhile fills a buffer and then is lost, which is a poke too.
// The sockets belong to the calling thread's network namespace and go with ctx.
func (n *Node) Watch(ctx context.Context) (<-chan struct{}, error) {
	pokes := make(chan struct{})
	for _, s := range []struct {
		protocol int
		groups   []int
	}{
		{unix.NETLINK_ROUTE, []int{
			unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
			unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
		}},
		{unix.NETLINK_NETFILTER, []int{unix.NFNLGRP_NFTABLES}},
	} {
		f, err := subscribe(s.protocol, s.groups)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { f.Close() })
		go n.listen(ctx, f, s.protocol == unix.NETLINK_NETFILTER, pokes)
	}
	return pokes, nil
}

// subscribe opens a socket that the runtime polls, so that closing it ends a read.
func subscribe(protocol int, groups []int) (*os.File, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink socket: %w", err)
	}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, g := range groups {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g))
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("subscribe to the kernel's changes: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	return os.NewFile(uintptr(fd), "netlink"), nil
}

// drainAtOnce is how many datagrams one poke may stand for, so that a storm does not keep it from coming.
const drainAtOnce = 2048

// Of a storm of what is none of podnet's, an eighth of a core is read; the kernel says that the rest was lost.
const (
	listenPace  = 8
	listenBurst = 50 * time.Millisecond
)

// rest is how long to read nothing after having read for some time: debt is what had to go by at the end of that, less what
// has gone by since the reading before.
func rest(debt, gone, spent time.Duration) (newDebt, pause time.Duration) {
	debt = max(0, debt-gone) + listenPace*spent
	if debt < listenBurst {
		return debt, 0
	}
	return 0, debt
}

// listen reads until the file is closed. It takes in all that has been announced before it pokes: a convergence of many
// peers announces each of its own changes, and a pass for each of them would never end. A lost message (ENOBUFS) is a
// reason to look at everything, like any other.
func (n *Node) listen(ctx context.Context, f *os.File, all bool, pokes chan<- struct{}) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, announcement)
	var debt time.Duration
	last := time.Now()
	for {
		concerned := false
		var gone error
		var begin time.Time
		err := conn.Read(func(fd uintptr) bool {
			begin = time.Now()
			for got := range drainAtOnce {
				size, err := unix.Read(int(fd), buf)
				switch {
				case errors.Is(err, unix.EAGAIN):
					return got > 0 // or wait for the next one
				case errors.Is(err, unix.EINTR):
				case errors.Is(err, unix.ENOBUFS):
					n.overruns.Add(1)
					concerned = true
				case err != nil:
					gone = err
					return true
				case n.concerns(buf[:size], all):
					concerned = true
				}
			}
			return true // of a storm there is always more
		})
		if err != nil || gone != nil || ctx.Err() != nil {
			return // the socket is gone: what remains is the resync
		}
		var pause time.Duration
		debt, pause = rest(debt, begin.Sub(last), time.Since(begin))
		if last = time.Now(); concerned {
			select {
			case pokes <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		if pause > 0 {
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				return
			}
			last = time.Now()
		}
	}
}

// Overruns is how often the kernel had more to announce than the watch's buffers hold. It may be asked on any goroutine.
func (n *Node) Overruns() uint64 { return n.overruns.Load() }

// concerns says whether a datagram may be about something of podnet's, or in its way, that is not as it should be.
func (n *Node) concerns(b []byte, nftables bool) bool {
	in := n.interest.Load()
	concerned := in == nil
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(native.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return true
		}
		typ, body := native.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size]
		switch {
		case nftables:
			concerned = n.ruled(typ, body) || concerned
		case in != nil && !n.authors.own[native.Uint32(b[12:])] && in.message(typ, body):
			concerned = true
			n.attribute(typ, native.Uint32(b[12:]), body)
		}
		b = b[min(align(size), len(b)):]
	}
	return concerned
}

// interest is what makes an announcement worth a look: what is wanted, and the devices as of the last pass. Hosts have
// much traffic of their own in these groups, pods' veths and other programs' routes most of all.
type interest struct {
	want    *Set // its indices are there
	overlap overlaps
	names   map[string]bool
	indices map[int32]bool
	devices map[int]string
}

func (in *interest) device(index int) string { return in.devices[index] }

// Care sets which changes are worth a look from now on: those of what is wanted and of what is in its way, of podnet's
// devices, and of the underlay.
func (n *Node) Care(want *Set, facts Facts) {
	want.index()
	in := &interest{want, newOverlaps(want), map[string]bool{facts.Underlay: true}, map[int32]bool{}, map[int]string{}}
	for _, l := range want.Links.Rows() {
		in.names[l.Device] = true
	}
	for name := range in.names {
		if i := n.index(name); i != 0 {
			in.indices[int32(i)], in.devices[i] = true, name
		}
	}
	n.interest.Store(in)
}

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
	}
	return true
}

func (in *interest) link(body []byte) bool {
	if len(body) < ifInfoLen || body[0] == unix.AF_BRIDGE {
		return false // a port's state
	}
	ours := in.indices[int32(native.Uint32(body[4:]))]
	pod, port := false, false
	attrs(body[ifInfoLen:], func(typ uint16, v []byte) {
		switch typ {
		case unix.IFLA_GROUP:
			ours = ours || native.Uint32(v) == device.GroupDevice
			pod = native.Uint32(v) == device.GroupPod
		case unix.IFLA_MASTER:
			port = in.indices[int32(native.Uint32(v))]
		case unix.IFLA_IFNAME:
			ours = ours || in.names[unix.ByteSliceToString(v)]
		}
	})
	return ours || pod && !port // pods come and go all day; one that has lost its bridge is news
}

// neigh says whether a neighbour or FDB entry of one of podnet's devices is news. One that is just as it should be is not,
// nor is the end of one that nobody wants: both are what podnet's own changes look like, and the kernel does not say whose
// change of an FDB it was.
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

// route says whether a route is news: one of podnet's protocol, likewise; one over a device that matters; the default route,
// which the underlay may be found by; and somebody else's that stands in the way of a wanted one. What else a routing daemon
// does with its own routes, by the hundred thousand at times, is none of podnet's business.
func (in *interest) route(is bool, body []byte) bool {
	r, main := decodeRoute(body, in.device)
	switch {
	case !main:
		return false
	case r.Protocol == RouteProtocol:
		want, _, wanted := in.want.Routes.Find(r.Route.Key())
		return is && (!wanted || want != r.Route || len(r.Hops) > 0) || !is && wanted
	case r.Protocol == unix.RTPROT_KERNEL && r.Device != "", r.Dst.Bits() == 0:
		return true
	}
	return in.overlap.touches(r.Dst)
}

// netconf: the host's settings (a negative index), and those of the devices that matter.
func (in *interest) netconf(body []byte) bool {
	concerned := false
	attrs(body[netconfLen:], func(typ uint16, v []byte) {
		if typ == 1 && len(v) == 4 { // NETCONFA_IFINDEX
			index := int32(native.Uint32(v))
			concerned = index < 0 || in.indices[index]
		}
	})
	return concerned
}
