package state

import (
	"context"
	"errors"
	"fmt"
	"os"

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

// listen reads until the file is closed. It takes in all that has been announced before it pokes: a convergence of many
// peers announces each of its own changes, and a pass for each of them would never end. A lost message (ENOBUFS) is a
// reason to look at everything, like any other.
func (n *Node) listen(ctx context.Context, f *os.File, all bool, pokes chan<- struct{}) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, receiveMessage)
	for {
		concerned := false
		var gone error
		err := conn.Read(func(fd uintptr) bool {
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
		if concerned {
			select {
			case pokes <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Overruns is how often the kernel had more to announce than the watch's buffers hold. It may be asked on any goroutine.
func (n *Node) Overruns() uint64 { return n.overruns.Load() }

// concerns says whether a datagram may be about something of podnet's, or in its way; one of nftables always may.
func (n *Node) concerns(b []byte, nftables bool) bool {
	in := n.interest.Load()
	concerned := nftables || in == nil
	for len(b) >= unix.NLMSG_HDRLEN {
		size := int(native.Uint32(b))
		if size < unix.NLMSG_HDRLEN || size > len(b) {
			return true
		}
		typ, body := native.Uint16(b[4:]), b[unix.NLMSG_HDRLEN:size]
		switch {
		case nftables:
			n.generation(typ, body)
		case in != nil && !n.authors.own[native.Uint32(b[12:])] && in.message(typ, body):
			concerned = true
			n.attribute(typ, native.Uint32(b[12:]), body)
		}
		b = b[min(align(size), len(b)):]
	}
	return concerned
}

// interest is what makes an announcement worth a look: the devices as of the last pass. Hosts have much traffic of their
// own in these groups, pods' veths most of all.
type interest struct {
	names   map[string]bool
	indices map[int32]bool
	devices map[int32]string
}

func (in *interest) device(index uint32) string { return in.devices[int32(index)] }

// Care sets which devices' changes are worth a look from now on: podnet's, and the underlay.
func (n *Node) Care(want *Set, facts Facts) {
	in := &interest{map[string]bool{facts.Underlay: true}, map[int32]bool{}, map[int32]string{}}
	for _, l := range want.Links.Rows() {
		in.names[l.Device] = true
	}
	for name := range in.names {
		if i := n.index(name); i != 0 {
			in.indices[int32(i)], in.devices[int32(i)] = true, name
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
		return in.indices[int32(native.Uint32(body[4:]))]
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		return len(body) >= rtmLen && body[4] == mainTable && (body[5] != unix.RTPROT_KERNEL || in.over(body))
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

// over says that a route leads over a device that matters: the kernel's own routes go with addresses, but can also be taken
// away alone.
func (in *interest) over(body []byte) bool {
	concerned := false
	attrs(body[rtmLen:], func(typ uint16, v []byte) {
		concerned = concerned || typ == unix.RTA_OIF && in.indices[int32(native.Uint32(v))]
	})
	return concerned
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
