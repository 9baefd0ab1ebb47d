package kernel

import (
	"fmt"
	"strconv"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/sysctl"
)

// Tracking is how full the kernel's table of connections is. Max 0: nothing is tracked, or the
// kernel does not tell.
type Tracking struct{ Count, Max int }

// trackingMax is the setting that bounds the table.
const trackingMax = "net/netfilter/nf_conntrack_max"

// nearlyFull is the share of the table, in percent, from which on a burst of connections may fill
// it.
const nearlyFull = 80

// ReadTracking reads the numbers of this network namespace.
func ReadTracking() Tracking {
	number := func(path string) int {
		text, _ := sysctl.Read(path) // without the module there is no such file
		n, _ := strconv.Atoi(text)
		return n
	}
	return Tracking{number("net/netfilter/nf_conntrack_count"), number(trackingMax)}
}

// Full reports whether the kernel drops the packets of new connections.
func (t Tracking) Full() bool { return t.Max > 0 && t.Count >= t.Max }

// Near reports whether the table may be full soon.
func (t Tracking) Near() bool { return t.Max > 0 && 100*t.Count >= nearlyFull*t.Max }

// Remedy is the command that makes room.
func (t Tracking) Remedy() string {
	return fmt.Sprintf("sysctl -w %s=%d", trackingMax, 4*max(t.Max, t.Count))
}

// conflicts: what a full table drops is lost whatever podnet's objects are like.
func (t Tracking) conflicts() []state.Conflict {
	if !t.Full() {
		return nil
	}
	return []state.Conflict{{
		Key: state.Key{Kind: state.KindSysctl, Name: trackingMax},
		Owner: fmt.Sprintf("the table of connections is full (%d of %d): packets of new ones are dropped, pods' too",
			t.Count, t.Max),
		Remedy: t.Remedy(),
	}}
}
