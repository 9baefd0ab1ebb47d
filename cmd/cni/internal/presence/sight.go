package presence

import (
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// Sight is what can be seen of pods that nobody has named: an ipam.Sight. It reads addresses when
// they are asked for, as a name says enough of most pods.
type Sight struct {
	links  map[string]bool
	asking string // the namespace of the pod that an address is wanted for
	view   *View
}

// Look sees the links of the host as they are now. asking is the namespace of the pod that an
// address is wanted for, "" if there is none: it has no address yet, as other bridge plugins
// connect a pod before they ask for one.
func Look(asking string) (*Sight, error) {
	conn, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	links, err := conn.Links(0)
	if err != nil {
		return nil, err
	}
	s := &Sight{links: make(map[string]bool, len(links)), asking: asking}
	for _, l := range links {
		s.links[l.Name] = true
	}
	return s, nil
}

// Link is described with ipam.Sight.
func (s *Sight) Link(name string) (bool, error) { return s.links[name], nil }

// Behind is described with ipam.Sight.
func (s *Sight) Behind(addrs []netip.Addr) (is, sure bool, err error) {
	if s.view == nil {
		s.view, err = readWithout(s.asking)
		if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) { // a user namespace may not look into others' pods
			return false, false, nil
		}
		if err != nil {
			return false, false, err
		}
	}
	for _, a := range addrs {
		if slices.ContainsFunc(s.view.ends, func(e end) bool { return e.has(a) }) {
			return true, true, nil
		}
	}
	return false, !slices.ContainsFunc(s.view.ends, end.unknown), nil
}

// unknown reports whether the veth leads to a pod that may be any: neither its addresses nor the
// veth's name say which.
func (e end) unknown() bool {
	return e.empty() && !e.uplink && !device.IsVethName(e.name)
}

// empty reports whether the namespace shows no address at all.
func (e end) empty() bool {
	for _, addrs := range e.addrs {
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() && !a.IsLoopback() }) {
			return false
		}
	}
	return true
}

// readWithout is Read less what leads to one namespace.
func readWithout(asking string) (*View, error) {
	v, err := Read()
	if err != nil {
		return nil, err
	}
	defer v.Close()
	if ns, err := netns.Open(asking); err == nil {
		defer ns.Close()
		if id, err := v.conn.NamespaceID(ns.FD()); err == nil && id >= 0 {
			v.ends = slices.DeleteFunc(v.ends, func(e end) bool { return e.namespace == id })
		}
	}
	return v, v.findUplinks()
}

// findUplinks marks the veths that are the host's own way into a subnet, as where the host is a
// container itself. The host's end of a pod's veth has no address but, from some plugins, the
// gateway's alone.
func (v *View) findUplinks() error {
	for i, e := range v.ends {
		if e.master != 0 || !e.empty() {
			continue
		}
		addrs, err := v.conn.Addrs(e.index)
		if err != nil {
			return err
		}
		v.ends[i].uplink = slices.ContainsFunc(addrs, func(a netlink.Addr) bool {
			return !a.Prefix.IsSingleIP() && !a.Prefix.Addr().IsLinkLocalUnicast()
		})
	}
	return nil
}
