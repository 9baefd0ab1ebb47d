package pods

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sight is what this node's network namespace shows of the pods: its links at the moment of each
// question, and the addresses that its veths lead to as they are at the first one.
type sight struct {
	node   *kernel.Node
	behind func() (addressView, error)
}

// addressView is the addresses of the namespaces that veths lead to.
type addressView struct {
	addrs  map[netip.Addr]bool
	silent bool // a pod of podnet's network may have an address that does not let itself be seen
}

func newSight(n *kernel.Node) ipam.Sight {
	return &sight{n, sync.OnceValues(func() (addressView, error) { return addrsBehind(n) })}
}

// Link is described with ipam.Sight.
func (s *sight) Link(name string) (bool, error) {
	_, err := s.node.Handle.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return false, nil
	}
	return err == nil, err
}

// Behind is described with ipam.Sight.
func (s *sight) Behind(addrs []netip.Addr) (is, sure bool, err error) {
	v, err := s.behind()
	for _, a := range addrs {
		is = is || v.addrs[a]
	}
	return is, err == nil && !v.silent, err
}

// addrsBehind looks into every namespace that a veth of this one leads to, once. The veth need not
// be a port: a bridge that was deleted leaves its pods without one. A namespace that shows no
// address may be that of any pod if its veth is a port of podnet's bridge, or of none and no
// uplink.
func addrsBehind(n *kernel.Node) (addressView, error) {
	v := addressView{addrs: map[netip.Addr]bool{}}
	veths, err := vethsToElsewhere(n)
	if err != nil {
		return v, err
	}
	silent := map[int32]bool{}
	for _, veth := range veths {
		none, seen := silent[veth.Namespace]
		if !seen {
			if none, err = addNamespace(n, v.addrs, veth.Namespace); err != nil {
				return v, fmt.Errorf("look at the pod behind %s: %w", veth.Device, err)
			}
			silent[veth.Namespace] = none
		}
		if none && (isOwn(n, veth.Bridge) || veth.Bridge == "" && !isUplink(n, veth.Device)) {
			v.silent = true
		}
	}
	return v, nil
}

// vethsToElsewhere are the veths whose other end is in another namespace.
func vethsToElsewhere(n *kernel.Node) (veths []kernel.HostVeth, err error) {
	if err := n.Refresh(); err != nil {
		return nil, err
	}
	err = n.DumpLinks(func() { veths = nil }, func(body []byte) {
		if v := n.DecodeVeth(body); v.Namespace >= 0 && n.Links[v.Device] != nil && n.Links[v.Device].Type() == "veth" {
			veths = append(veths, v)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list host veths: %w", err)
	}
	return veths, nil
}

func isOwn(n *kernel.Node, name string) bool {
	l := n.Links[name]
	return l != nil && l.Attrs().Group == device.GroupDevice
}

// isUplink reports whether a link is the host's own way into a subnet, as where the host is a
// container itself. The host's end of a pod's veth has no address but, from some plugins, the
// gateway's alone.
func isUplink(n *kernel.Node, name string) bool {
	return slices.ContainsFunc(n.Addrs, func(a netlink.Addr) bool {
		ones, bits := a.Mask.Size()
		return n.Name(a.LinkIndex) == name && ones < bits && !a.IP.IsLinkLocalUnicast()
	})
}

// addNamespace adds the addresses of a namespace, less link-local and loopback ones, and reports
// whether it shows none. One that has gone since is none.
func addNamespace(n *kernel.Node, addrs map[netip.Addr]bool, id int32) (silent bool, err error) {
	found, err := n.AddrsIn(kernel.HostVeth{Namespace: id})
	switch {
	case errors.Is(err, unix.EINVAL):
		return false, nil
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP):
		return true, nil
	case err != nil:
		return false, err
	}
	silent = true
	for _, p := range found {
		if !p.Addr().IsLoopback() {
			addrs[p.Addr()], silent = true, false
		}
	}
	return silent, nil
}
