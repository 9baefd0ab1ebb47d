package netlink

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/test/lab"
)

func TestMain(m *testing.M) { os.Exit(lab.Isolate(m)) }

// fresh is a socket in a network namespace of the test's own.
func fresh(t testing.TB) *Conn {
	t.Helper()
	lab.Need(t)
	lab.Apart(t)
	c, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func bridge(name string) *Message {
	return NewMessage(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL).LinkHeader(unix.IfInfomsg{Flags: unix.IFF_UP, Change: unix.IFF_UP}).
		String(unix.IFLA_IFNAME, name).Nest(unix.IFLA_LINKINFO, func(m *Message) { m.String(unix.IFLA_INFO_KIND, "bridge") })
}

// Every message is worked on and answered, in its order, however many there are and whatever became
// of the others.
func TestExchange(t *testing.T) {
	c := fresh(t)
	var messages []*Message
	for i := range 150 {
		messages = append(messages, bridge(fmt.Sprint("br", i%120)), GetLink(fmt.Sprint("br", i)))
	}
	answers, err := c.Exchange(messages...)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		if made := answers[2*i].Err; (made == nil) != (i < 120) || made != nil && !errors.Is(made, unix.EEXIST) {
			t.Fatalf("bridge %d: %v", i, made)
		}
		l, err := answers[2*i+1].Link()
		if i < 120 && (err != nil || l.Name != fmt.Sprint("br", i) || l.Kind != "bridge" || !l.Up()) || i >= 120 && !errors.Is(err, ErrNoLink) {
			t.Fatalf("link %d: %+v %v", i, l, err)
		}
	}
	links, err := c.Links(0)
	if err != nil || len(links) < 121 {
		t.Errorf("%d links, %v", len(links), err)
	}
	if err := c.Do(SetGroup(links[len(links)-1].Index, 7), DelGroup(7)); err != nil {
		t.Error(err)
	}
	if err := c.Do(DelGroup(7)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("an empty group: %v", err)
	}
}

// Addresses, routes and neighbours come back as they were given, and refusals carry the errno and
// the kernel's words.
func TestLayer3(t *testing.T) {
	c := fresh(t)
	if err := c.Do(bridge("br")); err != nil {
		t.Fatal(err)
	}
	l, err := c.LinkByName("br")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"10.1.0.1/24", "fd00:1::1/64", "10.2.0.1/31"} {
		p := netip.MustParsePrefix(p)
		if err := c.Do(AddAddr(l.Index, p, 0)); err != nil {
			t.Fatal(p, err)
		}
		if err := c.Do(AddAddr(l.Index, p, 0)); !errors.Is(err, unix.EEXIST) {
			t.Errorf("%s again: %v", p, err)
		}
	}
	addrs, err := c.Addrs(l.Index)
	if text := fmt.Sprint(addrs); err != nil || !strings.Contains(text, "10.1.0.1/24") || !strings.Contains(text, "fd00:1::1/64") || !strings.Contains(text, "10.2.0.1/31") {
		t.Errorf("%s %v", text, err)
	}
	for _, r := range []Route{
		{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.1.0.9")},
		{Dst: netip.MustParsePrefix("10.9.0.0/16"), Gateway: netip.MustParseAddr("10.1.0.9"), Table: 1000, MTU: 1400, AdvMSS: 1300, Priority: 5},
	} {
		r.Index = l.Index
		if there, err := c.HasRoute(r); there || err != nil {
			t.Errorf("%v: %t %v", r, there, err)
		}
		if err := c.Do(r.Put()); err != nil {
			t.Fatal(r, err)
		}
		if there, err := c.HasRoute(r); !there || err != nil {
			t.Errorf("%v: %t %v", r, there, err)
		}
		other := r
		other.Gateway = netip.MustParseAddr("10.1.0.8")
		if there, err := c.HasRoute(other); there || err != nil {
			t.Errorf("%v: %t %v", other, there, err)
		}
	}
	bad := Route{Dst: netip.MustParsePrefix("10.8.0.0/16"), Gateway: netip.MustParseAddr("10.77.0.1"), Index: l.Index}
	if err := c.Do(bad.Put()); !errors.Is(err, unix.ENETUNREACH) || !strings.Contains(err.Error(), "nexthop") && !strings.Contains(err.Error(), "gateway") {
		t.Errorf("an unreachable gateway: %v", err)
	}
	a := netip.MustParseAddr("fd00:1::9")
	if err := c.Do(SetNeighbour(l.Index, a, l.MAC, unix.NUD_PERMANENT, 0)); err != nil {
		t.Error(err)
	}
	unknown := netip.MustParseAddr("10.1.0.9")
	if got, err := c.Neighbours(l.Index, []netip.Addr{unknown, a}); err != nil || got[0] != nil || got[1] == nil || got[1].MAC.String() != l.MAC.String() || !got[1].Lasting() {
		t.Errorf("neighbours: %+v %v", got, err)
	}
	if err := c.Do(DelNeighbour(l.Index, a)); err != nil {
		t.Error(err)
	}
	if err := c.Do(DelNeighbour(l.Index, a)); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a neighbour that is gone: %v", err)
	}
}
