package presence

import (
	"errors"
	"net/netip"
	"slices"
	"sync"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// Sight is what can be seen of the pods of any network and any bridge plugin: an ipam.Sight. Its
// links are those of the moment at which it was made.
type Sight struct {
	addresses
	links map[string]bool
}

// Look returns a Sight. asking is the namespace of the pod that an address is wanted for, "" if
// there is none: it has no address yet, as other bridge plugins connect a pod before they ask for
// one.
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
	s := &Sight{links: make(map[string]bool, len(links))}
	for _, l := range links {
		s.links[l.Name] = true
	}
	s.view = sync.OnceValues(func() (*View, error) { return readWithout(asking) })
	s.unknown = func(e end) bool { return !e.uplink && !device.IsVethName(e.name) }
	return s, nil
}

// Link is described with ipam.Sight.
func (s *Sight) Link(name string) (bool, error) { return s.links[name], nil }

// Own is what can be seen of the pods of podnet's own network: an ipam.Sight. Its links are those
// of the moment of each question.
type Own struct {
	addresses
	conn *netlink.Conn
}

// NewOwn returns what a socket shows, which stays open for as long as it is used.
func NewOwn(conn *netlink.Conn) *Own {
	o := &Own{conn: conn}
	o.view = sync.OnceValues(func() (*View, error) {
		v, err := readOver(conn)
		if err != nil {
			return nil, err
		}
		return v, v.findUplinks()
	})
	// A bridge that was deleted leaves its pods without one.
	o.unknown = func(e end) bool { return e.own || e.master == 0 && !e.uplink }
	return o
}

// Link is described with ipam.Sight.
func (o *Own) Link(name string) (bool, error) {
	_, err := o.conn.LinkByName(name)
	if errors.Is(err, netlink.ErrNoLink) {
		return false, nil
	}
	return err == nil, err
}

// addresses are those that veths lead to, read when they are asked for: a link's name says enough
// of most pods.
type addresses struct {
	view func() (*View, error)
	// unknown reports whether a veth whose namespace shows no address may lead to a pod of the
	// network.
	unknown func(end) bool
}

// Behind is described with ipam.Sight.
func (a addresses) Behind(addrs []netip.Addr) (is, sure bool, err error) {
	v, err := a.view()
	if forbidden(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	for _, addr := range addrs {
		if slices.ContainsFunc(v.ends, func(e end) bool { return e.has(addr) }) {
			return true, true, nil
		}
	}
	unsure := slices.ContainsFunc(v.ends, func(e end) bool { return e.empty() && a.unknown(e) })
	return false, !unsure, nil
}

// empty reports whether the namespace shows no address at all.
func (e end) empty() bool {
	shown := func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() && !a.IsLoopback() }
	for _, addrs := range e.addrs {
		if slices.ContainsFunc(addrs, shown) {
			return false
		}
	}
	return true
}

// readWithout returns what Read does, without the veths that lead to one namespace.
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
