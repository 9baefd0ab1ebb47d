package kernel

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/firewall"
	"github.com/podnet/podnet/state/netlink"
	"golang.org/x/sys/unix"
)

// Actor is the process that the kernel names for a change, as far as it does: for routes, addresses
// and neighbours that go, and for nftables. Links and FDB entries go anonymously.
type Actor struct {
	PID  int
	Name string // of the program; "": it had ended before anybody could ask

	at time.Time
}

// String is empty if nobody is known.
func (a Actor) String() string {
	if a.PID == 0 {
		return ""
	}
	if a.Name == "" {
		return fmt.Sprintf("pid %d", a.PID)
	}
	return fmt.Sprintf("%s (pid %d)", a.Name, a.PID)
}

// actors remembers for a while who last took which object away. A storm makes it neither grow nor
// search.
type actors struct {
	mu      sync.Mutex
	own     map[uint32]bool // socket ids of this process: its own changes are no news; not changed after Open
	by      map[state.Key]Actor
	spawned []int     // the last programs that this process has run: what they change is its own doing
	swept   time.Time // when those that it need not remember any more went
}

const (
	maxActors   = 4096
	actorMemory = time.Minute
	sweepPause  = time.Second
	mostPID     = 1 << 22 // PID_MAX_LIMIT
)

// note remembers whose socket a change came by.
func (a *actors) note(k state.Key, socket uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if len(a.by) >= maxActors && now.Sub(a.swept) > sweepPause {
		maps.DeleteFunc(a.by, func(_ state.Key, old Actor) bool { return now.Sub(old.at) > actorMemory })
		a.swept = now
	}
	if _, known := a.by[k]; !known && len(a.by) >= maxActors {
		return
	}
	if by := actorOf(socket, now); by.PID != 0 {
		a.by[k] = by
	}
}

// spawn remembers a program that this process has run.
func (a *actors) spawn(pid int) {
	const remembered = 32 // each restores the rules of one family, and is asked about in the next pass
	a.mu.Lock()
	defer a.mu.Unlock()
	a.spawned = append(a.spawned, pid)
	a.spawned = a.spawned[max(0, len(a.spawned)-remembered):]
}

// actorOf is the process of a socket, by its id. That of a process's first socket is the process's,
// of a further one a number that no process has and that tells nothing; nor is this process an
// actor.
func actorOf(socket uint32, now time.Time) Actor {
	if socket == 0 || socket > mostPID || int(socket) == os.Getpid() {
		return Actor{}
	}
	return Actor{int(socket), programName(socket), now}
}

func programName(pid uint32) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// Actor is who took an object away last, during the last minute, as far as the kernel told; the
// zero Author: nobody knows.
func (w *Watcher) Actor(k state.Key) Actor {
	w.actors.mu.Lock()
	defer w.actors.mu.Unlock()
	if a := w.actors.by[k]; time.Since(a.at) < actorMemory && !slices.Contains(w.actors.spawned, a.PID) {
		return a
	}
	return Actor{}
}

// AnyChain is the Key of who changed nftables last: the kernel does not tell which rules.
func AnyChain() state.Key { return state.Key{Kind: state.KindChain} }

// attribute notes who sent a message that says that something has gone.
func (w *Watcher) attribute(typ uint16, pid uint32, body []byte) {
	in := w.interest.Load()
	if in == nil || pid == 0 {
		return
	}
	switch typ {
	case unix.RTM_DELROUTE:
		if len(body) < rtmLen || body[5] != state.RouteProtocol {
			return
		}
		k := state.Key{Kind: state.KindRoute, Bits: body[1]}
		netlink.EachAttribute(body[rtmLen:], func(typ uint16, v []byte) {
			switch typ {
			case unix.RTA_DST:
				k.Addr = netlink.IP(v)
			case unix.RTA_PRIORITY:
				k.Num = netlink.Number(v)
			}
		})
		w.actors.note(k, pid)
	case unix.RTM_DELNEIGH:
		if len(body) < ndmLen || body[0] == unix.AF_BRIDGE {
			return
		}
		var msg neighMessage
		netlink.EachAttribute(body[ndmLen:], msg.attr)
		w.actors.note(state.NeighKey(in.device(int(native.Uint32(body[4:]))), msg.dst), pid)
	case unix.RTM_DELADDR:
		if len(body) < ifaLen {
			return
		}
		w.actors.note(in.addrKey(body), pid)
	}
}

const ifaLen = 8 // sizeof(struct ifaddrmsg)

// addrKey is the key of an address message's object, which is at least ifaLen long.
func (in *interest) addrKey(body []byte) state.Key {
	index, a := netlink.ParseAddr(body)
	return state.Key{Kind: state.KindAddr, Name: in.device(index), Addr: a.Prefix.Addr(), Bits: body[1]}
}

// ruled reads who made a new generation of nftables' rules: the kernel names the process. False:
// the message is of something else, which a generation will follow, or of rules that have been read
// already, such as those that podnet has just put right.
func (w *Watcher) ruled(typ uint16, body []byte) (news bool) {
	g, ok := firewall.ParseGeneration(typ, body)
	if !ok || w.hasRead(g) {
		return false
	}
	w.actors.mu.Lock()
	defer w.actors.mu.Unlock()
	w.actors.by[AnyChain()] = Actor{PID: g.PID, Name: g.Program, at: time.Now()}
	return true
}
