package kernel

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// Watcher tells when the kernel announces a change that matters, and who has made it. Its methods
// may be called on any goroutine.
type Watcher struct {
	interest atomic.Pointer[interest]
	filter   watchFilter
	flood    flood
	overruns atomic.Uint64
	actors   actors
	hasRead  func(firewall.Generation) bool // whether rules as of a generation have been read
}

// newWatcher returns one that takes changes by the socket with the id for this process's own.
func newWatcher(id uint32) *Watcher {
	return &Watcher{
		filter:  watchFilter{sample: sampled},
		actors:  actors{by: map[state.Key]Actor{}, own: map[uint32]bool{id: true}},
		hasRead: func(firewall.Generation) bool { return false },
	}
}

// Watch pokes the returned channel whenever the kernel announces a change of what podnet may care
// about: links, addresses, routes, policy rules, neighbours, FDB, forwarding settings, nftables. A
// poke says nothing else; one stands for any number of changes. Until it is taken nothing more is
// read: what a storm sends meanwhile fills a buffer and then is lost, which is a poke too. The
// sockets belong to the calling thread's network namespace and go with ctx.
func (w *Watcher) Watch(ctx context.Context) (<-chan struct{}, error) {
	pokes := make(chan struct{})
	for _, s := range []struct {
		protocol int
		groups   []int
	}{
		{unix.NETLINK_ROUTE, []int{
			unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
			unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_IPV6_NETCONF,
			unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
		}},
		{unix.NETLINK_NETFILTER, []int{unix.NFNLGRP_NFTABLES}},
	} {
		f, err := netlink.Subscribe(s.protocol, s.groups)
		if errors.Is(err, unix.EPROTONOSUPPORT) && s.protocol == unix.NETLINK_NETFILTER {
			continue // a kernel without nftables: there is nothing to announce
		}
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { f.Close() })
		if s.protocol == unix.NETLINK_ROUTE {
			w.filter.add(f)
		}
		l := &listener{watcher: w, nftables: s.protocol == unix.NETLINK_NETFILTER, buf: make([]byte, announcement)}
		go l.listen(ctx, f, pokes)
	}
	return pokes, nil
}

// announcement bounds what the kernel announces at once: a longer one is cut, which is noticed.
const announcement = 64 << 10

// drainAtOnce is how many datagrams one poke may stand for, so that a storm does not keep it from
// coming.
const drainAtOnce = 2048

// Of a storm of what is none of podnet's, an eighth of a core is read; the kernel says that the
// rest was lost.
const (
	listenPace  = 8
	listenBurst = 50 * time.Millisecond
)

// rest is how long to read nothing after having read for some time: debt is what had to go by at
// the end of that, less what has gone by since the reading before.
func rest(debt, gone, spent time.Duration) (newDebt, pause time.Duration) {
	debt = max(0, debt-gone) + listenPace*spent
	if debt < listenBurst {
		return debt, 0
	}
	return 0, debt
}

// listener reads what one socket announces.
type listener struct {
	watcher  *Watcher
	nftables bool
	buf      []byte
	// announcements, since the socket was last empty: until then the kernel drops all, and has said
	// so once
	lost bool
}

// listen reads until the file is closed. It takes in all that has been announced before it pokes: a
// convergence of many peers announces each of its own changes, and a pass for each of them would
// never end.
func (l *listener) listen(ctx context.Context, f *os.File, pokes chan<- struct{}) {
	conn, err := f.SyscallConn()
	if err != nil {
		return
	}
	var debt time.Duration
	last := time.Now()
	for {
		var concerned, taken bool
		var gone error
		var begin time.Time
		err := conn.Read(func(fd uintptr) bool {
			begin = time.Now()
			concerned, taken, gone = l.drain(int(fd))
			return taken // or wait for the next one
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

// drain takes in what has been announced. A lost message (ENOBUFS) is a reason to look at
// everything, like any other, and once more when the socket is empty, up to which nothing was kept.
func (l *listener) drain(fd int) (concerned, taken bool, err error) {
	for got := range drainAtOnce {
		size, err := unix.Read(fd, l.buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			concerned, taken = concerned || l.lost, l.lost || got > 0
			l.lost = false
			return concerned, taken, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			l.watcher.overruns.Add(1)
			concerned, l.lost = true, true
		case err != nil:
			return concerned, true, err
		case l.watcher.concerns(l.buf[:size], l.nftables):
			concerned = true
		}
	}
	return concerned, true, nil // of a storm there is always more
}

// Overruns is how often the kernel had more to announce than the watch's buffers hold.
func (w *Watcher) Overruns() uint64 { return w.overruns.Load() }

// concerns says whether a datagram may be about something of podnet's, or in its way, that is not
// as it should be.
func (w *Watcher) concerns(b []byte, nftables bool) bool {
	in := w.interest.Load()
	concerned := in == nil
	_, err := netlink.EachMessage(b, func(h netlink.Header, body []byte) (done bool) {
		switch {
		case nftables:
			concerned = w.ruled(h.Type, body) || concerned
		case in == nil || w.actors.own[h.PortID]:
		case in.message(h.Type, body):
			concerned = true
			w.attribute(h.Type, h.PortID, body)
		default:
			changes := in.foreign(h.Type, body)
			concerned = changes > 0 && w.flood.note(time.Now(), changes, h.PortID) || concerned
		}
		return false
	})
	return concerned || err != nil
}
