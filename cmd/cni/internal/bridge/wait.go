package bridge

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/netlink"
)

const (
	// patience is how long an ADD waits for the kernel, which takes its time on a busy machine.
	// Runtimes give up after two minutes, and are to get an answer before that.
	patience = 90 * time.Second

	// silence is how long it waits without a word on stderr, which is what a runtime shows of an
	// ADD that it gives up.
	silence = 3 * time.Second
)

// settle waits until duplicate address detection has passed the addresses.
func settle(h *netlink.Conn, index int) error {
	return poll("the pod's addresses to be checked for duplicates", func() (bool, error) {
		list, err := h.Addrs(index)
		if err != nil {
			return false, err
		}
		for _, a := range list {
			switch {
			case a.Flags&unix.IFA_F_DADFAILED != 0:
				return false, duplicate(a.Prefix.Addr())
			case a.Flags&unix.IFA_F_TENTATIVE != 0:
				return false, nil
			}
		}
		return true, nil
	})
}

func duplicate(a netip.Addr) error {
	return protocol.Errorf(protocol.CodeUnavailable,
		"another host has the address %s, as duplicate address detection found", a)
}

// awaitLinks waits until the host's end and the bridge pass packets. The kernel sets the end going
// a moment after its peer is up, and a bridge without other ports a moment after that; what comes
// before is dropped. Since Linux 6.8 asking for a link is what sets it going, so that the first
// answer is yes: the port's must be asked for before the bridge's. messages go along with the first
// question. It returns the bridge as it is with the port.
func awaitLinks(
	h *netlink.Conn, port, bridge string, messages ...*netlink.Message,
) (br *netlink.Link, err error) {
	err = poll(port+" and "+bridge+" to come up", func() (bool, error) {
		both := []*netlink.Message{netlink.GetLink(port), netlink.GetLink(bridge)}
		answers, err := h.Exchange(append(messages, both...)...)
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
			br = link
		}
		return up, nil
	})
	return br, err
}

// offerLink sets the pod's end up before it has addresses, for an IPAM plugin that asks the network
// for them.
func (a *attachment) offerLink() error {
	name, index := a.veth.peer, a.port.Parent
	p, err := enterPod(a.pod, name, index, func() error { a.duplicateSettings(name); return nil })
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.Do(netlink.SetUp(index)); err != nil {
		return fmt.Errorf("set %s in the pod up: %w", name, err)
	}
	_, err = awaitLinks(a.host, a.veth.name, a.bridge.Name)
	return err
}

// awaitAddresses waits until packets to the link's IPv6 addresses are taken: the kernel gets to
// that a while after it has answered, as a job that it queues when the link has its carrier, and
// only a route in the table local tells. Asking for the link is what has its carrier noticed. IPv4
// addresses are there at once. linkLocal is an address that the kernel makes by itself, waited for
// as long as it may come.
func awaitAddresses(h *netlink.Conn, link *netlink.Link, addrs []netip.Addr, linkLocal netip.Addr) error {
	missing := slices.DeleteFunc(append(slices.Clone(addrs), linkLocal), func(a netip.Addr) bool {
		return !a.Is6()
	})
	if len(missing) == 0 {
		return nil
	}
	what := fmt.Sprintf("the kernel to take packets to %v on %s", missing, link.Name)
	return poll(what, func() (bool, error) {
		routes, err := h.Routes(netlink.IPv6, unix.RT_TABLE_LOCAL, link.Index)
		if err != nil {
			return false, err
		}
		missing = slices.DeleteFunc(missing, func(a netip.Addr) bool {
			return slices.ContainsFunc(routes, func(r netlink.Route) bool {
				return r.Dst == netip.PrefixFrom(a, a.BitLen())
			})
		})
		if len(missing) == 0 {
			return true, nil
		}
		missing, err = stillToCome(h, link, missing, linkLocal)
		return len(missing) == 0, err
	})
}

// stillToCome returns which of these addresses the link may yet have. One that another host has is
// an error, except for the link-local address, which nobody has asked for.
func stillToCome(
	h *netlink.Conn, link *netlink.Link, missing []netip.Addr, linkLocal netip.Addr,
) ([]netip.Addr, error) {
	now, err := h.LinkByName(link.Name)
	if err != nil {
		return nil, err
	}
	list, err := h.Addrs(link.Index)
	if err != nil {
		return nil, err
	}
	flags := map[netip.Addr]uint32{}
	for _, a := range list {
		flags[a.Prefix.Addr()] = a.Flags
	}
	return slices.DeleteFunc(missing, func(a netip.Addr) bool {
		failed := flags[a]&unix.IFA_F_DADFAILED != 0
		if a != linkLocal && failed {
			err = duplicate(a)
		}
		return a == linkLocal && (failed || !now.MakesLinkLocal())
	}), err
}

// poll asks until the answer is yes, less and less often. what is what is waited for, to be read
// after "waiting for".
func poll(what string, done func() (bool, error)) error {
	start, told := time.Now(), false
	for pause := 20 * time.Microsecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if ok, err := done(); err != nil || ok {
			return err
		}
		waited := time.Since(start)
		if waited > patience {
			return protocol.Errorf(protocol.CodeTryLater, "waited %s for %s", patience, what)
		}
		if waited > silence && !told {
			told = true
			_, _ = fmt.Fprintf(os.Stderr, "bridge: waiting for %s\n", what)
		}
		sleep(pause)
	}
}

// sleep pauses for microseconds. time.Sleep would have the runtime set up its poller, which counts
// in milliseconds.
func sleep(d time.Duration) {
	t := unix.NsecToTimespec(d.Nanoseconds())
	_ = unix.Nanosleep(&t, nil) // interrupted by a signal: poll asks that much earlier
}
