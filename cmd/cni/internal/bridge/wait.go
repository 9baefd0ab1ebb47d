package bridge

import (
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/podns"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/cmd/cni/internal/rtnl"
)

const (
	dadTimeout  = 5 * time.Second
	portTimeout = 3 * time.Second
)

// settle waits until duplicate address detection has passed the addresses.
func settle(h *rtnl.Conn, index int) error {
	return poll(dadTimeout, func() (bool, error) {
		list, err := h.Addrs(index)
		if err != nil {
			return false, err
		}
		for _, a := range list {
			addr := a.Prefix.Addr()
			switch {
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				return false, protocol.Errorf(protocol.CodeUnavailable, "another host has the address %s", addr)
			case a.Flags&unix.IFA_F_TENTATIVE != 0 && !addr.IsLinkLocalUnicast():
				return false, nil
			}
		}
		return true, nil
	}, "the pod's addresses are still being checked for duplicates")
}

// awaitLinks waits until the host's end and the bridge pass packets. The kernel sets the end going a moment after its peer is
// up, and a bridge without other ports a moment after that; what comes before is dropped. Since Linux 6.8 asking for a link
// is what sets it going, so that the first answer is yes: the port's must be asked for before the bridge's. messages go
// along with the first question.
func awaitLinks(h *rtnl.Conn, port, bridge string, messages ...*rtnl.Message) error {
	return poll(portTimeout, func() (bool, error) {
		answers, err := h.Exchange(append(messages, rtnl.GetLink(port), rtnl.GetLink(bridge))...)
		if err != nil {
			return false, err
		}
		for _, a := range answers[:len(messages)] {
			if a.Err != nil {
				return false, a.Err
			}
		}
		links := answers[len(messages):]
		messages = nil
		up := true
		for i, name := range []string{port, bridge} {
			link, err := links[i].Link()
			if err != nil {
				return false, fmt.Errorf("link %s: %w", name, err)
			}
			up = up && link.OperUp()
		}
		return up, nil
	}, port+" and "+bridge+" do not come up")
}

// offerLink sets the pod's end up before it has addresses, for an IPAM plugin that asks the network for them.
func offerLink(h *rtnl.Conn, v *veth, pod *podns.Namespace, index int) error {
	p, err := dialPod(pod)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Do(rtnl.SetUp(index)); err != nil {
		return fmt.Errorf("set %s in the pod up: %w", v.peer, err)
	}
	return awaitLinks(h, v.name, v.bridge.Name)
}

// awaitAddresses waits until packets to the link's IPv6 addresses are taken: the kernel gets to that a while after it has
// answered, as a job that it queues when the link has its carrier, and only a route in the table local tells. Asking for
// the link is what has its carrier noticed. IPv4 addresses are there at once.
func awaitAddresses(h *rtnl.Conn, link string, index int, addrs []netip.Addr) error {
	for _, a := range addrs {
		if a.Is4() {
			continue
		}
		route := rtnl.Route{Dst: netip.PrefixFrom(a, a.BitLen()), Index: index, Table: unix.RT_TABLE_LOCAL}
		err := poll(portTimeout, func() (bool, error) {
			if there, err := h.HasRoute(route); err != nil || there {
				return there, err
			}
			_, err := h.LinkByName(link)
			return false, err
		}, fmt.Sprintf("the address %s of %s is not taken up by the kernel", a, link))
		if err != nil {
			return err
		}
	}
	return nil
}

// poll asks until the answer is yes, less and less often.
func poll(timeout time.Duration, done func() (bool, error), otherwise string) error {
	deadline := time.Now().Add(timeout)
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if ok, err := done(); err != nil || ok {
			return err
		}
		if time.Now().After(deadline) {
			return protocol.Errorf(protocol.CodeTryLater, "%s after %s", otherwise, timeout)
		}
		sleep(pause)
	}
}

// sleep is time.Sleep for microseconds: the runtime's timers would set up its poller, which counts in milliseconds.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // interrupted by a signal: poll asks that much earlier
}
