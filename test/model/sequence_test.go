// Package model plays random sequences of edits, damage, faults, kills and restarts against a model
// of what the kernel should hold, which knows state/REFERENCE.md and none of the project's code. A
// sequence is its seed: go test ./test/model -args -seed N plays it again.
package model

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/reconcile"
	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
)

var (
	sequences = flag.Int("sequences", 40, "how many sequences to play")
	first     = flag.Uint64("first", 1+1000*uint64(lab.Share()), "seed of the first one")
	seed      = flag.Uint64("seed", 0, "play this one alone, and tell its story")
	real      = flag.Bool("real", false, "with -seed: with a real podnetd")
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// TestSequences plays them on all processors; the seeds of those that fail are printed.
func TestSequences(t *testing.T) {
	flag.Parse()
	if *seed != 0 {
		play := play
		if *real {
			play = playReal
		}
		if err := play(t, *seed, true); err != nil {
			t.Error(err)
		}
		return
	}
	begin := time.Now()
	var next, failed, steps atomic.Uint64
	next.Store(*first)
	t.Run("all", func(t *testing.T) {
		for range 4 * runtime.NumCPU() { // much of a player's time is the kernel's waiting for itself
			t.Run("player", func(t *testing.T) {
				t.Parallel()
				for n := next.Add(1) - 1; n < *first+uint64(*sequences) && failed.Load() < 5; n = next.Add(1) - 1 {
					steps.Add(length)
					if err := play(t, n, false); err != nil {
						failed.Add(1)
						t.Errorf("%v\nplay it again: go test ./test/model -v -args -seed %d", err, n)
					}
				}
			})
		}
	})
	fmt.Printf("random sequences: %d of %d events each from seed %d, %d failed, %v\n", *sequences, length, *first, failed.Load(), time.Since(begin).Round(time.Second))
}

// length is the number of events in a sequence.
const length = 12

// play plays one sequence in a namespace of its own; after each event that ends in a whole pass the
// kernel is compared with the model.
func play(t *testing.T, seed uint64, tell bool) error {
	ns := lab.NewNamespace(t, fmt.Sprintf("seed-%d", seed))
	defer ns.Close()
	var w *world
	err := ns.Do(func() (err error) {
		dice := rand.New(rand.NewPCG(seed, 72))
		if w, err = newWorld(t, ns, dice); err != nil {
			return err
		}
		defer os.RemoveAll(strings.TrimSuffix(w.paths.StateDir, "/var/lib/podnet"))
		defer w.stop()
		if err := w.begin(); err != nil {
			return err
		}
		for range length {
			if err := w.event(); err != nil {
				return err
			}
		}
		return nil
	})
	if w != nil && (err != nil || tell) {
		t.Logf("seed %d:\n%s", seed, strings.Join(w.history, "\n"))
	}
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	return nil
}

// begin puts a first topology in place and follows it.
func (w *world) begin() error {
	w.plan()
	w.write()
	return errors.Join(w.start(), w.pass())
}

// plan is a first topology.
func (w *world) plan() {
	w.wanted = plan{vni: 1 + w.dice.IntN(2)*6, port: 8472, masquerade: w.dice.IntN(4) > 0}
	w.wanted.Name = "lab"
	own := lab.Entry{Name: self, IP: "192.0.2.1", PodCIDRs: [][]string{{"10.0.0.0/24"}, {"10.0.0.0/24", "fd00::/64"}, {"fd00::/64"}}[w.dice.IntN(3)]}
	if w.daemon != nil {
		own.IP = w.daemon.IP4
	}
	w.wanted.Nodes = []lab.Entry{own}
	for range 1 + w.dice.IntN(6) {
		w.addPeer()
	}
}

func (w *world) write() {
	w.note("file:\n%s", w.wanted)
	tmp := w.paths.Topology + ".tmp"
	if err := errors.Join(os.WriteFile(tmp, []byte(w.wanted.String()), 0o644), os.Rename(tmp, w.paths.Topology)); err != nil {
		panic(err)
	}
}

// follows says that the file on disk is one to follow.
func (w *world) follows() bool { return !w.wanted.bad && !slices.ContainsFunc(w.undone, w.wanted.same) }

// event is the next thing that happens.
func (w *world) event() error {
	switch w.dice.IntN(10) {
	case 0, 1:
		w.edit()
		w.write()
		return w.pass()
	case 2, 3:
		w.damage()
		return w.pass()
	case 4: // some of the changes fail once, then no more
		w.upset()
		share := 1 + w.dice.IntN(4)
		w.note("one in %d changes fails", share)
		err := w.spoiled(func(n *kernel.Node) reconcile.Applier { return &faulty{n, w.dice, share} })
		return errors.Join(err, w.pass())
	case 5: // killed in the middle, and started again
		w.upset()
		after := w.dice.IntN(30)
		w.note("killed after %d changes, and started", after)
		err := w.spoiled(func(n *kernel.Node) reconcile.Applier { return &killed{n, after} })
		return errors.Join(err, w.start(), w.pass())
	case 6:
		w.note("restarted")
		w.damage()
		return errors.Join(w.start(), w.pass())
	case 7, 8:
		return w.try()
	default:
		return errors.Join(w.bad(), w.pass())
	}
}

// upset makes sure that a pass has something to do.
func (w *world) upset() {
	if w.dice.IntN(2) == 0 {
		w.edit()
		w.write()
	}
	w.damage()
}

// bad puts a file in place that nobody follows: one cut off, or one that was rolled back and is
// pushed again. Then the good one comes back.
func (w *world) bad() error {
	if n := len(w.undone); n > 0 && w.dice.IntN(2) == 0 {
		w.wanted = w.undone[w.dice.IntN(n)]
	} else {
		w.edit()
		w.wanted.bad = true
	}
	w.write()
	if err := w.pass(); err != nil {
		return fmt.Errorf("under a bad file: %w", err)
	}
	w.wanted = *w.inForce
	w.write()
	return nil
}

func (w *world) addPeer() {
	for range 20 {
		i := 1 + w.dice.IntN(40)
		name := fmt.Sprintf("node-%d", i)
		if w.find(name) < 0 {
			w.wanted.Nodes = append(w.wanted.Nodes[:len(w.wanted.Nodes):len(w.wanted.Nodes)], lab.Entry{Name: name, IP: w.freeIP(), PodCIDRs: w.cidrs(i)})
			return
		}
	}
}

func (w *world) find(name string) int {
	for i, e := range w.wanted.Nodes {
		if e.Name == name {
			return i
		}
	}
	return -1
}

// freeIP is an underlay address that nobody has.
func (w *world) freeIP() string {
	for {
		ip := fmt.Sprintf("192.0.2.%d", 20+w.dice.IntN(200))
		taken := false
		for _, e := range w.wanted.Nodes {
			taken = taken || e.IP == ip
		}
		if !taken {
			return ip
		}
	}
}

// cidrs are podCIDRs that only this node can have, in one of several shapes.
func (w *world) cidrs(i int) []string {
	return [][]string{
		{fmt.Sprintf("10.%d.0.0/24", i)}, {fmt.Sprintf("10.%d.0.0/25", i)}, {fmt.Sprintf("fd00:%x::/64", i)}, {},
		{fmt.Sprintf("10.%d.0.0/24", i), fmt.Sprintf("fd00:%x::/64", i)}, {fmt.Sprintf("10.%d.7.0/24", i), fmt.Sprintf("fd00:%x:1::/64", i)},
	}[w.dice.IntN(6)]
}

// edit changes the file in one or two ways.
func (w *world) edit() {
	w.wanted.Nodes = append([]lab.Entry(nil), w.wanted.Nodes...)
	for range 1 + w.dice.IntN(2) {
		peer := 0
		if len(w.wanted.Nodes) > 1 {
			peer = 1 + w.dice.IntN(len(w.wanted.Nodes)-1)
		}
		switch dice := w.dice.IntN(7); {
		case dice == 0 || peer == 0:
			w.addPeer()
		case dice == 1:
			w.wanted.Nodes = append(w.wanted.Nodes[:peer:peer], w.wanted.Nodes[peer+1:]...)
		case dice == 2:
			w.wanted.Nodes[peer].IP = w.freeIP()
		case dice == 3:
			var i int
			fmt.Sscanf(w.wanted.Nodes[peer].Name, "node-%d", &i)
			w.wanted.Nodes[peer].PodCIDRs = w.cidrs(i)
		case dice == 4:
			w.wanted.mtu = []int{0, 1400, 1420}[w.dice.IntN(3)]
		case dice == 5:
			w.wanted.masquerade = !w.wanted.masquerade
		default: // two peers change places
			a, b := &w.wanted.Nodes[peer], &w.wanted.Nodes[1+w.dice.IntN(len(w.wanted.Nodes)-1)]
			a.IP, b.IP = b.IP, a.IP
		}
	}
}

// damage does things to podnet's objects, which may just be gone.
func (w *world) damage() {
	p := w.inForce
	tunnel := p.tunnel()
	peer := p.Nodes[w.dice.IntN(len(p.Nodes))]
	mac := contract.VTEPMAC(p.Name, peer.Name)
	lines := []string{
		"ip link del " + tunnel, "ip link del cni0", "ip link set " + tunnel + " down", "ip link set cni0 down", "ip addr flush dev cni0",
		"ip link set " + tunnel + " mtu 1300", "ip link set cni0 address 02:00:00:00:00:99", "ip addr add 10.77.0.1/24 dev cni0",
		"ip addr flush dev " + tunnel, "ip neigh flush dev " + tunnel + " nud permanent", "ip route flush proto 72", "ip -6 route flush proto 72",
		"bridge fdb del " + mac + " dev " + tunnel + " self", "bridge fdb replace " + mac + " dev " + tunnel + " dst 192.0.2.250 self permanent",
		"bridge fdb append " + mac + " dev " + tunnel + " dst 192.0.2.251 self permanent", "bridge fdb add 02:00:00:00:00:77 dev " + tunnel + " dst 192.0.2.252 self permanent",
		"ip neigh replace 10.99.0.0 lladdr 02:00:00:00:00:98 dev " + tunnel + " nud permanent", "ip route add 10.98.0.0/24 via 10.98.0.0 dev " + tunnel + " onlink proto 72 metric 7",
		"iptables -F PODNET-FORWARD", "iptables -t nat -F PODNET-MASQUERADE", "iptables -D FORWARD -j PODNET-FORWARD", "iptables -A FORWARD -j PODNET-FORWARD",
		"ip6tables -t nat -D POSTROUTING -j PODNET-MASQUERADE", "iptables -A PODNET-FORWARD -j DROP", "ip6tables -N PODNET-STRAY",
		"sysctl -q -w net.ipv4.ip_forward=0", "sysctl -q -w net.ipv6.conf.all.forwarding=0", "rm -f " + w.paths.Conflist,
		"truncate -s 20 " + w.paths.Conflist, "ip link add stray group 7200 type bridge", "rm -f " + w.paths.LastGood + ".none",
	}
	for range 1 + w.dice.IntN(3) {
		line := lines[w.dice.IntN(len(lines))]
		w.note("damage: %s", line)
		_, _ = w.tool("", strings.Fields(line)...)
	}
}

// faulty has some changes fail, before or after they are carried out.
type faulty struct {
	node  *kernel.Node
	dice  *rand.Rand
	share int
}

func (f *faulty) Apply(k state.Kind, changes []*state.Change) {
	var real []*state.Change
	for _, c := range changes {
		if f.dice.IntN(f.share) > 0 {
			real = append(real, c)
			continue
		}
		c.Err = unix.ENOBUFS
		if f.dice.IntN(2) == 0 { // it is done, and the answer is lost
			carriedOut := *c
			carriedOut.Err = nil
			f.node.Apply(k, []*state.Change{&carriedOut})
		}
	}
	if len(real) > 0 {
		f.node.Apply(k, real)
	}
}

// killed carries out so many changes and none after them.
type killed struct {
	node *kernel.Node
	left int
}

func (a *killed) Apply(k state.Kind, changes []*state.Change) {
	n := min(a.left, len(changes))
	if a.left -= n; n > 0 {
		a.node.Apply(k, changes[:n])
	}
	for _, c := range changes[n:] {
		c.Err = unix.EOWNERDEAD
	}
}
