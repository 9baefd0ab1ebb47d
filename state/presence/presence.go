package presence

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

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

	unread error // why the addresses of some namespace could not be read: it seems to have none
}

// end is a veth of the host that leads to another namespace.
type end struct {
	name                           string
	index, master, peer, namespace int
	own                            bool                 // is a port of a bridge that podnetd made
	uplink                         bool                 // see findUplinks
	addrs                          map[int][]netip.Addr // of that namespace, by the index of their link
}

// Read looks into every namespace. Close ends the view.
func Read() (*View, error) {
	conn, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	v, err := readOver(conn)
	if err == nil {
		err = v.unread
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return v, nil
}

// readOver looks over a socket that stays the caller's.
func readOver(conn *netlink.Conn) (*View, error) {
	v := &View{conn: conn, rest: onceProcessAddrs()}
	return v, v.read()
}

// Close gives back what Read has opened.
func (v *View) Close() { v.conn.Close() }

func (v *View) read() error {
	links, err := v.conn.Links(0)
	if err != nil {
		return fmt.Errorf("list host veths: %w", err)
	}
	own := map[int]bool{}
	for _, l := range links {
		own[l.Index] = l.Group == device.GroupDevice
	}
	seen := map[int]map[int][]netip.Addr{}
	for _, l := range links {
		if l.Kind != "veth" || l.ParentIn < 0 || l.Group == device.GroupDeleting {
			continue
		}
		addrs, there := seen[l.ParentIn]
		if !there {
			if addrs, err = v.addrsIn(l.ParentIn); err != nil {
				return fmt.Errorf("look at the pod behind %s: %w", l.Name, err)
			}
			seen[l.ParentIn] = addrs
		}
		// Nobody has the namespace any more, and the kernel is about to take the veth away.
		if addrs == nil {
			continue
		}
		v.ends = append(v.ends, end{
			name: l.Name, index: l.Index, master: l.Master, peer: l.Parent, namespace: l.ParentIn,
			own: own[l.Master], addrs: addrs,
		})
	}
	return nil
}

// addrsIn returns the addresses of a namespace by the index of their link; nil if it has gone. A
// kernel or a user namespace that does not let them be read is remembered.
func (v *View) addrsIn(namespace int) (map[int][]netip.Addr, error) {
	addrs, err := v.conn.AddrsIn(namespace)
	if forbidden(err) || errors.Is(err, unix.EOPNOTSUPP) {
		v.unread = err
		return map[int][]netip.Addr{}, nil
	}
	return addrs, err
}

// forbidden reports whether a user namespace may not look into others' pods.
func forbidden(err error) bool { return errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) }

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
		return e.master == index && !slices.ContainsFunc(e.addrs[e.peer], func(a netip.Addr) bool {
			return !a.IsLinkLocalUnicast()
		})
	}
	return slices.ContainsFunc(v.ends, silent), nil
}
