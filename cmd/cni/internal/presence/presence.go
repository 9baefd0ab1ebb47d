// Package presence tells whether a pod is still there that nobody has deleted, by what the kernel
// has of it: the host veth that podnet's bridge plugin names after the attachment, or, for pods of
// any other plugin, the pod's address in a network namespace. It rather takes a pod that has gone
// for one that is there than the other way round.
package presence

import (
	"net/netip"
	"slices"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
)

// Pod is what is asked about. Names that nobody knows are empty.
type Pod struct {
	Network, ContainerID, IfName string
	Addrs                        []netip.Addr
}

// complete reports whether the names say what podnet's bridge plugin would call the host veth.
func (p Pod) complete() bool { return p.Network != "" && p.ContainerID != "" && p.IfName != "" }

func (p Pod) veth() string { return device.VethName(p.Network, p.ContainerID, p.IfName) }

// View is a look at all network namespaces of the host. It costs a dump for each that a veth leads
// to, so it is for when something is in the way.
type View struct {
	conn *netlink.Conn
	ends []end
	rest func() (map[netip.Addr]bool, error) // addresses in namespaces of processes
}

// end is a veth of the host that leads to another namespace.
type end struct {
	name                           string
	index, master, peer, namespace int
	uplink                         bool                 // see findUplinks
	addrs                          map[int][]netip.Addr // of that namespace, by the index of their link
}

// Read looks. Close ends the view.
func Read() (*View, error) {
	conn, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	v := &View{conn: conn, rest: onceProcessAddrs()}
	if err := v.read(); err != nil {
		conn.Close()
		return nil, err
	}
	return v, nil
}

// Close gives back what Read has opened.
func (v *View) Close() { v.conn.Close() }

func (v *View) read() error {
	links, err := v.conn.Links(0)
	if err != nil {
		return err
	}
	seen := map[int]map[int][]netip.Addr{}
	for _, l := range links {
		if l.Kind != "veth" || l.ParentIn < 0 || l.Group == device.GroupDeleting {
			continue
		}
		addrs, there := seen[l.ParentIn]
		if !there {
			if addrs, err = v.conn.AddrsIn(l.ParentIn); err != nil {
				return err
			}
			seen[l.ParentIn] = addrs
		}
		if addrs == nil { // nobody has the namespace any more, and the kernel is about to take the veth away
			continue
		}
		v.ends = append(v.ends, end{name: l.Name, index: l.Index, master: l.Master, peer: l.Parent, namespace: l.ParentIn, addrs: addrs})
	}
	return nil
}

// Has reports whether the pod is there, or may be.
func (v *View) Has(p Pod) (bool, error) {
	if p.complete() && slices.ContainsFunc(v.ends, func(e end) bool { return e.name == p.veth() }) {
		return true, nil
	}
	for _, a := range p.Addrs {
		if slices.ContainsFunc(v.ends, func(e end) bool { return e.may(p, a) }) {
			return true, nil
		}
		if behind := slices.ContainsFunc(v.ends, func(e end) bool { return e.has(a) }); behind {
			continue // another pod has got the address
		}
		rest, err := v.rest()
		if err != nil || rest[a] {
			return true, err
		}
		if hidden, err := v.hides(a); err != nil || hidden {
			return true, err
		}
	}
	return false, nil
}

// may reports whether the pod can be the one behind the veth. A veth that podnet's bridge plugin
// has named is another pod's where its name is not the pod's.
func (e end) may(p Pod, a netip.Addr) bool {
	named := p.complete() && device.IsVethName(e.name)
	for index, addrs := range e.addrs {
		if slices.Contains(addrs, a) && !(named && index == e.peer) {
			return true
		}
	}
	return false
}

// has reports whether the namespace has the address.
func (e end) has(a netip.Addr) bool {
	for _, addrs := range e.addrs {
		if slices.Contains(addrs, a) {
			return true
		}
	}
	return false
}

// hides reports whether a pod could have the address without its namespace saying so: one of the
// bridge that the address is behind, such as a virtual machine's, whose interface has no address
// that the kernel knows of.
func (v *View) hides(a netip.Addr) (bool, error) {
	index, direct, err := v.conn.RouteTo(a)
	if err != nil || !direct {
		return false, err
	}
	silent := func(e end) bool {
		return e.master == index && !slices.ContainsFunc(e.addrs[e.peer], func(a netip.Addr) bool { return !a.IsLinkLocalUnicast() })
	}
	return slices.ContainsFunc(v.ends, silent), nil
}
