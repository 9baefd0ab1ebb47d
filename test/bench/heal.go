package main

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// healing deletes random objects of a running node and measures from each deletion to the kernel's
// announcement that the object is there again.
func (b bench) healing() {
	const few = 1000 // peers
	b.heal(few, b.heals, b.healGap, 50*time.Millisecond)
	b.heal(few, b.heals, 0, 50*time.Millisecond)
	b.heal(b.large, b.healsLarge, b.healGapLarge, 150*time.Millisecond)
}

// share is how often one of a peer's objects is hit, by kind.
var share = map[string]int{"route IPv4": 20, "route IPv6": 20, "neigh IPv4": 15, "neigh IPv6": 15, "fdb": 20}

// single are the kinds of which a node has one or two objects. More than five hits of the same one
// within a minute would measure how podnetd slows a fight down. Two in 1,000 are still some ten
// times their share of all objects.
var single = []string{"addr IPv4", "addr IPv6", "link", "sysctl", "chain"}

// script is what to hit, in a random order.
func script(count int) []string {
	var common, all []string
	for kind, times := range share {
		common = append(common, slices.Repeat([]string{kind}, times)...)
	}
	for _, kind := range single {
		all = append(all, slices.Repeat([]string{kind}, max(1, count/500))...)
	}
	for len(all) < count {
		all = append(all, common[rand.IntN(len(common))])
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// heal hits so many objects, with a pause of gap on average in between; 0: each as soon as the one
// before is back.
func (b bench) heal(peers, count int, gap, target time.Duration) {
	when := "each as soon as the one before is back"
	if gap > 0 {
		when = fmt.Sprintf("at random moments, %s apart on average", gap)
	}
	b.section(fmt.Sprintf("%d random deletions on a node of %d peers, dual stack, %s: until the kernel announces the object again", count, peers, when))
	n := lab.New(b.TB).Node("heals")
	t := site(n, peers, dual)
	n.Write(t.String())
	n.Start("--log-level", "error")
	n.AwaitInForce()
	time.Sleep(settle)
	h, err := newHealer(n, t)
	b.must(err)
	defer h.close()

	took := map[string][]time.Duration{}
	var all []time.Duration
	for _, kind := range script(count) {
		d, err := h.hit(kind)
		if err != nil {
			b.Fatalf("%s: %v", kind, err)
		}
		took[kind], all = append(took[kind], d), append(all, d)
		time.Sleep(rand.N(2*gap + 1))
	}
	b.must(complete(n, t))
	b.percentiles("all kinds", all, target)
	for _, kind := range slices.Sorted(maps.Keys(took)) {
		b.percentiles("  "+kind, took[kind], 0)
	}
	b.percentiles("  link, until the last of its peers' routes", h.cascade, 0)
	n.Stop()
	n.Sh("ip link del podnet.1")
	b.drop(n)
}

// percentiles is a row of a healing table.
func (b bench) percentiles(what string, d []time.Duration, target time.Duration) {
	text := fmt.Sprintf("%s, %d times: p50 %s, worst %s; p99", what, len(d), ms(median(d)), ms(slices.Max(d)))
	if target == 0 {
		b.alone(text, ms(percentile(d, 99)))
		return
	}
	b.atMost(text, milliseconds(percentile(d, 99)), milliseconds(target), "%.1f ms")
}

// healer does damage to a node and hears it being healed.
type healer struct {
	node    *lab.Node
	damage  *socket
	routes  *socket // announcements of the routing family
	rules   *socket // announcements of nftables
	targets map[string][]target
	routesN int
	cascade []time.Duration // deletions of a device, until everything on it was back
}

func newHealer(n *lab.Node, t lab.Topology) (*healer, error) {
	h := &healer{node: n, targets: targets(n, t)}
	h.routesN = len(h.targets["route IPv4"]) + len(h.targets["route IPv6"])
	var err error
	if h.damage, err = dial(n, unix.NETLINK_ROUTE); err != nil {
		return nil, err
	}
	if h.routes, err = dial(n, unix.NETLINK_ROUTE, listenGroups...); err != nil {
		return nil, err
	}
	h.rules, err = dial(n, unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES)
	return h, err
}

func (h *healer) close() {
	h.damage.close()
	h.routes.close()
	h.rules.close()
}

// hit damages a random object of a kind and returns how long it was so.
func (h *healer) hit(kind string) (time.Duration, error) {
	h.routes.drain()
	switch kind {
	case "sysctl":
		begin := time.Now()
		h.node.SetSysctl("net/ipv4/ip_forward", "0")
		return h.until(begin, "ip_forward 1")
	case "chain":
		return h.flush()
	}
	at, err := devices(h.node)
	if err != nil {
		return 0, err
	}
	g := h.targets[kind][rand.IntN(len(h.targets[kind]))]
	begin := time.Now()
	if err := h.damage.do(g.request(at)); err != nil {
		return 0, fmt.Errorf("delete %s: %w", g.made, err)
	}
	took, err := h.until(begin, g.made)
	if kind == "link" && err == nil {
		err = h.allRoutes(begin)
	}
	return took, err
}

// until waits for one announcement.
func (h *healer) until(begin time.Time, what string) (time.Duration, error) {
	at, err := h.routes.await(func(m syscall.NetlinkMessage) bool { return made(m) == what })
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return at.Sub(begin), err
}

// allRoutes waits for every peer's route, which is the last of what it needs.
func (h *healer) allRoutes(begin time.Time) error {
	left := h.routesN
	at, err := h.routes.await(func(m syscall.NetlinkMessage) bool {
		if m.Header.Type == unix.RTM_NEWROUTE && madeRoute(m) != "" {
			left--
		}
		return left == 0
	})
	h.cascade = append(h.cascade, at.Sub(begin))
	return err
}

// flush empties a chain: nftables announces a new generation of its rules for that, and another one
// when they are back.
func (h *healer) flush() (time.Duration, error) {
	h.rules.drain()
	generations := 0
	var begin time.Time
	flushed := make(chan error, 1)
	go func() {
		_, err := h.node.Exec("iptables", "-F", "PODNET-FORWARD")
		flushed <- err
	}()
	at, err := h.rules.await(func(m syscall.NetlinkMessage) bool {
		if m.Header.Type == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN {
			if generations++; generations == 1 {
				begin = time.Now()
			}
		}
		return generations == 2
	})
	return at.Sub(begin), errors.Join(err, <-flushed)
}
