package kernel

import (
	"net/netip"
	"sync"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// flood notices when other programs change routes by the thousand. They are none of podnet's, and
// it spends next to nothing on them, but an operator wants to know who does that.
type flood struct {
	mu      sync.Mutex
	began   time.Time // of the count
	changes int       // since then
	seen    time.Time // when it was last one
	by      Actor
}

// What counts as a flood.
const (
	floodChanges = 5000
	floodTime    = time.Second
)

// note counts changes by the program behind a socket, and says whether with these a flood has
// begun.
func (f *flood) note(now time.Time, changes int, socket uint32) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.began) > floodTime {
		f.began, f.changes = now, 0
	}
	if f.changes += changes; f.changes < floodChanges {
		return false
	}
	begins := now.Sub(f.seen) > floodTime
	if f.seen = now; begins {
		f.by = actorOf(socket, now)
	}
	return begins
}

// Flood is when other programs last changed routes by thousands a second, and which, as far as the
// kernel tells; the zero Time: never.
func (w *Watcher) Flood() (time.Time, Actor) {
	w.flood.mu.Lock()
	defer w.flood.mu.Unlock()
	return w.flood.seen, w.flood.by
}

// foreign is how many changes of other programs' routes an announcement stands for: of those that
// the filter of the watch drops only a sample arrives. 0: it is of something else.
func (in *interest) foreign(typ uint16, body []byte) int {
	if typ != unix.RTM_NEWROUTE && typ != unix.RTM_DELROUTE || len(body) < rtmLen || body[4] != state.MainTable ||
		body[1] == 0 ||
		body[5] == state.RouteProtocol || body[5] == unix.RTPROT_KERNEL {
		return 0
	}
	var dst netip.Addr
	netlink.EachAttribute(body[rtmLen:], func(typ uint16, v []byte) {
		if typ == unix.RTA_DST {
			dst = netlink.IP(v)
		}
	})
	if !dst.IsValid() || in.cover.holds(dst) {
		return 1
	}
	return sampled
}
