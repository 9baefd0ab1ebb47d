package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/podnet/podnet/test/lab"
	"golang.org/x/sys/unix"
)

// storms measures what podnetd costs while somebody else changes routes by the thousand, and while
// somebody takes one of its own away again and again.
func (b bench) storms() {
	const peers = 1000
	b.section(fmt.Sprintf("storms on a node of %d peers, dual stack", peers))
	n := lab.New(b.TB).Node("storm")
	t := site(n, peers, dual)
	n.Write(t.String())
	d := n.Start("--log-level", "error")
	n.AwaitInForce()
	damage, err := dial(n, unix.NETLINK_ROUTE) // first, so that it bears this process's id
	b.must(err)
	defer damage.close()
	s := storm{n, process(d.PID), damage, targets(n, t)["route IPv4"][peers/2]}

	u, healed, err := s.foreign(b.stormRoutes)
	b.must(err)
	b.stormRows(fmt.Sprintf("%d foreign route changes in %s", b.stormRoutes, u.took.Round(10*time.Millisecond)), u, healed)
	b.reported(n, "other programs' routes")

	time.Sleep(2 * time.Second) // the first storm's debt is paid
	u, healed, err = s.adversary(b.storm)
	b.must(err)
	b.stormRows(fmt.Sprintf("a route of podnet's deleted every 10 ms for %s", b.storm), u, healed)
	b.reported(n, s.route.made)
	b.must(complete(n, t))
	n.Stop()
	b.drop(n)
}

// reported: the status says what is fought over, and by whom.
func (b bench) reported(n *lab.Node, what string) {
	status, err := n.Status()
	b.must(err)
	c := status.Condition("Contention")
	named := c.Status == "True" && strings.Contains(c.Message, what) && strings.Contains(c.Message, "last changed by")
	b.line("  Contention in the status, with the author", fmt.Sprint(named), "", "", "true", b.verdict(named))
	b.Logf("      %s %s: %s", c.Status, c.Reason, c.Message)
}

func (b bench) stormRows(what string, u stormUsage, healed time.Duration) {
	b.atMost(what+": share of a core", 100*u.share, 25, "%.1f %%")
	b.atMost("  growth of its resident memory", u.growth, 8, "%.1f MiB")
	b.atMost("  an object deleted at its end is back after", milliseconds(healed), 1000, "%.1f ms")
}

// storm is a node in trouble.
type storm struct {
	node   *lab.Node
	podnet process
	damage *socket
	route  target
}

type stormUsage struct {
	usage
	took time.Duration
}

// during watches podnetd while f does its worst, then takes the route away and waits until it is
// back.
func (s storm) during(f func() error) (stormUsage, time.Duration, error) {
	ears, err := dial(s.node, unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_ROUTE)
	if err != nil {
		return stormUsage{}, 0, err
	}
	defer ears.close()
	begin := time.Now()
	u, err := s.podnet.watched(f)
	if err != nil {
		return stormUsage{}, 0, err
	}
	usage := stormUsage{u, time.Since(begin)}
	ears.drain()
	end := time.Now()
	if err := s.deleteRoute(); err != nil {
		return usage, 0, err
	}
	at, err := ears.await(func(m syscall.NetlinkMessage) bool { return made(m) == s.route.made })
	return usage, at.Sub(end), err
}

// deleteRoute takes podnet's route away, if it is there.
func (s storm) deleteRoute() error {
	if err := s.damage.do(s.route.request(nil)); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// foreign makes and deletes routes that are none of podnet's, half of the changes each.
func (s storm) foreign(changes int) (stormUsage, time.Duration, error) {
	at, err := devices(s.node)
	if err != nil {
		return stormUsage{}, 0, err
	}
	return s.during(func() error {
		for i := range changes / 2 {
			dst := netip.AddrFrom4([4]byte{198, 18 + byte(i>>16&1), byte(i >> 8), byte(i)})
			for _, typ := range []uint16{unix.RTM_NEWROUTE, unix.RTM_DELROUTE} {
				if err := s.damage.do(foreignRoute(typ, dst, at["eth0"])); err != nil {
					return fmt.Errorf("foreign route: %w", err)
				}
			}
		}
		return nil
	})
}

// foreignRoute is a route of a routing daemon's to one address.
func foreignRoute(typ uint16, dst netip.Addr, index uint32) request {
	r := newRequest(typ, unix.NLM_F_CREATE, unix.AF_INET, 32, 0, 0, unix.RT_TABLE_MAIN, unix.RTPROT_BIRD,
		unix.RT_SCOPE_LINK, unix.RTN_UNICAST, 0, 0, 0, 0)
	return r.attr(unix.RTA_DST, dst.AsSlice()).attr(unix.RTA_OIF, binary.NativeEndian.AppendUint32(nil, index))
}

// adversary deletes the route every 10 ms for so long.
func (s storm) adversary(lasts time.Duration) (stormUsage, time.Duration, error) {
	return s.during(func() error {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(lasts); time.Now().Before(end); <-tick.C {
			if err := s.deleteRoute(); err != nil {
				return err
			}
		}
		return nil
	})
}
