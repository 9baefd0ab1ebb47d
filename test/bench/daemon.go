package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/podnet/podnet/test/contract"
	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// daemon measures podnetd on a large node: its first convergence, what it costs at rest, a restart,
// and an edit.
func (b bench) daemon() {
	b.section(fmt.Sprintf("podnetd on a node of %d peers, dual stack", b.large))
	n := lab.New(b.TB).Node("daemon")
	t := site(n, b.large, dual)
	n.Write(t.String())
	d, took := b.ready(n)
	n.AwaitInForce()
	b.must(complete(n, t))
	p := process(d.PID)
	b.alone("first convergence, from exec to READY", ms(took))
	peak, err := p.memory("VmHWM")
	b.must(err)
	b.atMost("peak memory (VmHWM) of the first convergence", peak, 80, "%.1f MiB")

	b.idleDaemon(n, p)
	b.edits(n, t)
	b.restart(n)
	n.Stop()
	n.Sh("ip link del podnet.1")
	b.drop(n)
}

// settle is what a daemon may take to look once more at what its first convergence has announced.
const settle = 5 * time.Second

// idleDaemon watches a daemon that has nothing to do, with the resync of an ordinary installation,
// and scraped as in one.
func (b bench) idleDaemon(n *lab.Node, p process) {
	time.Sleep(settle)
	u, err := p.watched(func() error { return b.scraped(n) })
	b.must(err)
	rss, err := p.memory("VmRSS")
	b.must(err)
	peak, err := p.memory("VmHWM")
	b.must(err)
	b.atMost(fmt.Sprintf("share of a core at rest, %s, scraped every %s, with its children", b.idle, scrapeInterval),
		100*u.share, 0.2, "%.2f %%")
	b.atMost("resident memory at rest (VmRSS)", rss, 40, "%.1f MiB")
	b.atMost("  the highest until then (VmHWM)", peak, 80, "%.1f MiB")
	b.alone("  growth meanwhile", fmt.Sprintf("%+.1f MiB", u.growth))
}

// scrapeInterval is how often Prometheus comes by in many installations.
const scrapeInterval = 15 * time.Second

// scraped lets the idle time pass as Prometheus sees it.
func (b bench) scraped(n *lab.Node) error {
	for left := b.idle; left > 0; left -= scrapeInterval {
		time.Sleep(min(left, scrapeInterval))
		if status, _, err := n.Get(b.Context(), "127.0.0.1:9472", "/metrics"); err != nil || status != http.StatusOK {
			return fmt.Errorf("/metrics: %d, %w", status, err)
		}
	}
	return nil
}

// ready starts podnetd and returns how long it took until it told the service manager that it is
// ready.
func (b bench) ready(n *lab.Node) (*lab.Daemon, time.Duration) {
	path := filepath.Join(b.temp(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	b.must(err)
	defer conn.Close()
	b.must(os.Setenv("NOTIFY_SOCKET", path))
	defer os.Unsetenv("NOTIFY_SOCKET")
	b.must(conn.SetReadDeadline(time.Now().Add(4 * lab.Patience)))
	buf := make([]byte, 4096)
	begin := time.Now()
	d := n.Launch("--log-level", "error", "--resync", "30s")
	for {
		size, err := conn.Read(buf)
		took := time.Since(begin)
		if err != nil {
			b.Fatalf("podnetd is not ready: %v\n%s", err, d.Log())
		}
		if strings.Contains(string(buf[:size]), "READY=1") {
			return d, took
		}
	}
}

// temp is a new directory.
func (b bench) temp() string {
	dir, err := os.MkdirTemp("", "bench")
	b.must(err)
	return dir
}

// restart stops and starts the daemon on a node where all is well.
func (b bench) restart(n *lab.Node) {
	before := n.State()
	var ready, parses, passes []time.Duration
	for range b.restarts {
		n.Stop()
		d, took := b.ready(n)
		ready = append(ready, took)
		_, parse := b.parse(n)
		parses = append(parses, parse)
		if d.Ended() {
			b.Fatalf("podnetd ended: %s", d.Log())
		}
	}
	b.inside(n, func(e engine) error {
		for round := range b.restarts + 1 {
			took, err := e.nothing()
			if err != nil {
				return err
			}
			if round > 0 { // the first one parses the file
				passes = append(passes, took)
			}
		}
		return nil
	})
	need := median(parses) + median(passes)
	b.ratio("restart, from exec to READY; other: parse + a pass with nothing to do", ms(median(ready)), ms(need),
		float64(median(ready))/float64(need), 2)
	b.alone("  of the other: parse", ms(median(parses)))
	if err := lab.SameState(before, n.State()); err != nil {
		b.Logf("%.1000v", err)
		b.line("  changes in the kernel by that", "some", "", "", "none", b.verdict(false))
		return
	}
	b.line("  changes in the kernel by that", "none", "", "", "none", b.verdict(true))
}

// editPause lets podnetd pay for an edit before the next one: operators don't make one a second.
const editPause = 3 * time.Second

// edits moves one peer to another address and back: from the rename of the file to the kernel's
// announcement of the peer's new FDB entry.
func (b bench) edits(n *lab.Node, t lab.Topology) {
	s, err := dial(n, unix.NETLINK_ROUTE, unix.RTNLGRP_NEIGH)
	b.must(err)
	defer s.close()
	peer := &t.Nodes[len(t.Nodes)/2]
	mac := "fdb " + contract.VTEPMAC(t.Name, peer.Name)
	addrs := []string{"192.0.2.201", peer.IP}
	var took []time.Duration
	for i := range b.restarts &^ 1 { // an even number, so that the file ends as it was
		peer.IP = addrs[i%2]
		d, err := edit(n, s, t.String(), func(m syscall.NetlinkMessage) bool {
			return made(m) == mac && address(attributes(m.Data[unix.SizeofNdMsg:])[unix.NDA_DST]).String() == peer.IP
		})
		b.must(err)
		took = append(took, d)
		n.AwaitInForce()
		time.Sleep(editPause)
	}
	b.atMost("an edit of one peer, from the rename to the kernel", milliseconds(median(took)), 300, "%.1f ms")
}

// edit replaces the topology and returns the time from the rename to an announcement.
func edit(n *lab.Node, s *socket, content string, done func(syscall.NetlinkMessage) bool) (time.Duration, error) {
	target := n.Path(lab.TopologyPath)
	temporary := target + ".new"
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return 0, err
	}
	s.drain()
	begin := time.Now()
	if err := os.Rename(temporary, target); err != nil {
		return 0, err
	}
	at, err := s.await(done)
	if err != nil {
		err = errors.Join(errors.New("the edit does not arrive"), err)
	}
	return at.Sub(begin), err
}
