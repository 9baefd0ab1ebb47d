package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/podnet/podnet/state"
	"github.com/podnet/podnet/test/lab"
)

// programming measures how the peers' entries come into the kernel. Three things are timed in each
// round:
//
//   - ip -batch and bridge -batch, one process each, with the finished commands, on a vxlan device that is there;
//   - the part of an apply that programs: in this process, by podnet's own engine, on a node where everything is in place
//     but the peers' entries, from the finished plan to the last acknowledgement;
//   - podnetctl apply as a user runs it, from exec to exit, on a host that holds nothing of podnet's.
func (b bench) programming() {
	b.section("peers' entries; the other side is ip -batch and bridge -batch with the same")
	perPeer := map[families]map[int]time.Duration{ipv4: {}, dual: {}}
	for _, f := range []families{ipv4, dual} {
		for _, peers := range b.sizes() {
			perPeer[f][peers] = b.size(peers, f)
		}
	}
	const from, to = 10000, 50000
	for _, f := range []families{ipv4, dual} {
		if took := perPeer[f]; took[from] > 0 && took[to] > 0 {
			b.ratio(fmt.Sprintf("growth: programming per peer at 50,000 (other: 10,000), %s", f),
				micro(took[to]), micro(took[from]), float64(took[to])/float64(took[from]), 1.5)
		}
	}
}

func micro(d time.Duration) string { return fmt.Sprintf("%.2f µs", float64(d.Nanoseconds())/1000) }

// targetsFrom is the number of peers from which the targets count; fewer cost less than starting a
// process.
const targetsFrom = 10000

// size measures one number of peers and returns the time of programming one of them.
func (b bench) size(peers int, f families) time.Duration {
	l := lab.New(b.TB)
	batch, entries := l.Node("batch"), l.Node("entries")
	var theirs, programmed, applied []time.Duration
	for round := range b.rounds {
		theirs = append(theirs, b.batch(batch, site(batch, peers, f), round == 0))
		programmed = append(programmed, b.entries(entries, site(entries, peers, f), round == 0))
		fresh := l.Node(fmt.Sprintf("fresh-%d", round))
		applied = append(applied, b.fresh(fresh, site(fresh, peers, f), round == 0))
	}
	b.drop(batch)
	b.drop(entries)
	var programming, whole float64
	if peers >= targetsFrom {
		programming, whole = 0.35, 1
	}
	b.versus(fmt.Sprintf("%d peers, %s: programming", peers, f), programmed, theirs, programming)
	b.versus(fmt.Sprintf("%d peers, %s: the whole of podnetctl apply, from exec", peers, f), applied, theirs, whole)
	return median(programmed) / time.Duration(peers)
}

// batch is the other side.
func (b bench) batch(n *lab.Node, t lab.Topology, verify bool) time.Duration {
	b.must(n.Batch("ip", deviceCommands(n, t)...))
	ip, bridge := entryCommands(n, t)
	begin := time.Now()
	b.must(n.Batch("ip", ip...))
	b.must(n.Batch("bridge", bridge...))
	took := time.Since(begin)
	if verify {
		b.must(complete(n, t))
	}
	n.Sh("ip link del podnet.1")
	return took
}

// entries programs the peers' entries alone.
func (b bench) entries(n *lab.Node, t lab.Topology, verify bool) time.Duration {
	n.Write(alone(t).String())
	b.apply(n)
	n.Write(t.String())
	topology, _ := b.parse(n)
	var took time.Duration
	b.inside(n, func(e engine) error {
		id, err := e.Identity()
		if err != nil {
			return err
		}
		view, err := e.View(id, topology, nil)
		if err != nil {
			return err
		}
		plan, err := e.Look(view)
		if err != nil {
			return err
		}
		for _, s := range plan.Steps {
			if s.Op != state.Create || !ofPeer(s.Kind) {
				return errors.New("not only the peers' entries are missing: " + s.Op.String() + " " + s.Object().Name())
			}
		}
		runtime.GC() // of what the measurement itself has left
		begin := time.Now()
		err = plan.Apply(e.Kernel(), nil)
		took = time.Since(begin)
		return err
	})
	if verify {
		b.must(complete(n, t))
	}
	n.Sh("ip link del podnet.1")
	return took
}

// ofPeer says whether a kind of object is one that each peer has. What ip and bridge make is all of
// that but its address among the tunnel's sources.
func ofPeer(k state.Kind) bool {
	switch k {
	case state.KindTunnelSource, state.KindNeigh, state.KindFDB, state.KindRoute:
		return true
	}
	return false
}

// fresh applies a topology on a host that has nothing of podnet's, and drops the host.
func (b bench) fresh(n *lab.Node, t lab.Topology, verify bool) time.Duration {
	n.Write(t.String())
	took := b.apply(n)
	if verify {
		b.must(complete(n, t))
	}
	n.Sh("ip link del podnet.1")
	b.drop(n)
	return took
}

// apply is one run of podnetctl apply, from exec to exit.
func (b bench) apply(n *lab.Node) time.Duration {
	out := n.Podnetctl("apply")
	if out.Code != 0 {
		b.Fatalf("apply: exit code %d\n%.2000s%.2000s", out.Code, out.Stdout, out.Stderr)
	}
	return out.Took
}

// drop ends a node, so that its entries don't weigh on the next measurement.
func (b bench) drop(n *lab.Node) { b.must(n.Close()) }
