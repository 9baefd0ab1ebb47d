package kernel

import (
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/podnet/podnet/state"
)

// Only an id that a process can have names one, and a storm of changes is remembered as far as
// there is room: what has been remembered long enough makes room, and is looked for once in a
// while, not at every change.
func TestAuthors(t *testing.T) {
	n := newWatcher(1)
	key := func(i int) state.Key {
		return state.Key{Kind: state.KindRoute, Addr: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}
	}
	own := uint32(os.Getpid())
	other := own + 1
	for i, c := range []struct{ socket, pid uint32 }{{other, other}, {own, 0}, {3_221_225_472, 0}} {
		n.actors.note(key(i), c.socket)
		if got := n.Actor(key(i)); got.PID != int(c.pid) {
			t.Errorf("a change by socket %d is of %q", c.socket, got)
		}
	}
	clear(n.actors.by)
	for i := range 2 * maxActors {
		n.actors.note(key(i), other)
	}
	swept := n.actors.swept
	if len(n.actors.by) != maxActors || swept.IsZero() {
		t.Errorf("remembers %d, swept %s", len(n.actors.by), swept)
	}
	old := n.actors.by[key(7)]
	n.actors.note(key(7), other)
	if again := n.actors.by[key(7)]; !again.at.After(old.at) {
		t.Error("an object that is gone once more keeps its first author")
	}
	if n.actors.note(key(maxActors), other); n.actors.swept != swept {
		t.Error("swept again at once")
	}
	for k, a := range n.actors.by {
		a.at = a.at.Add(-2 * actorMemory)
		n.actors.by[k] = a
	}
	n.actors.swept = time.Time{}
	if n.actors.note(key(maxActors), other); len(n.actors.by) != 1 {
		t.Errorf("still remembers %d", len(n.actors.by))
	}
}
