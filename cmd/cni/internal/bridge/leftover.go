package bridge

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/protocol"
	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/netlink"
	"github.com/podnet/podnet/state/netns"
)

// addOrReplace makes the pair. One that an interrupted ADD of the same attachment left is removed
// first; anything else in its place stays, and is an error.
func (c *call) addOrReplace(v *veth, pod *netns.Namespace) (*netlink.Link, error) {
	link, err := v.add(c.host, pod)
	if !errors.Is(err, unix.EEXIST) {
		return link, err
	}
	if err := c.removeLeftover(pod); err != nil {
		return nil, err
	}
	return v.add(c.host, pod)
}

// removeLeftover deletes the host's end that the attachment's names lead to. The pod's interface of
// that name must be the other end of it, or not be there: an interrupted ADD may have meant another
// namespace.
func (c *call) removeLeftover(pod *netns.Namespace) error {
	host, err := c.findVeth()
	if err != nil {
		return err
	}
	p, err := dialPod(pod)
	if err != nil {
		return err
	}
	defer p.Close()
	inside, err := p.LinkByName(c.IfName)
	if err != nil && !errors.Is(err, netlink.ErrNoLink) {
		return err
	}
	paired := false
	if inside != nil && host != nil {
		if paired, err = pairs(c.host, pod, host, inside); err != nil {
			return err
		}
	}
	if inside != nil && !paired {
		return protocol.Errorf(protocol.CodeConflict,
			"%s exists in %s already (a %s that is not this attachment's): "+
				"use another CNI_IFNAME, or remove it first",
			c.IfName, pod.Path, inside.Kind)
	}
	return errors.Join(deleteVeth(c.host, host), c.forgetSender())
}

// pairs reports whether a link of the host and one of the pod are the ends of one veth. Each names
// the other by an index, which links of other namespaces have too: the host's end has to lead into
// this namespace.
func pairs(h *netlink.Conn, pod *netns.Namespace, host, inside *netlink.Link) (bool, error) {
	veths := host.Kind == "veth" && inside.Kind == "veth"
	if !veths || inside.Parent != host.Index || host.Parent != inside.Index {
		return false, nil
	}
	id, err := h.NamespaceID(pod.FD())
	return id >= 0 && id == host.ParentIn, err
}

// findVeth returns the host's end of the attachment, nil if there is none. The name is a hash of
// the attachment, and nobody else's by chance; an alias that names no pod was put there by an
// operator, for whom a pod must not fail to end. A link that is no veth, or whose alias says that
// it is another pod's, got the name by somebody's hand, and is an error.
func (c *call) findVeth() (*netlink.Link, error) {
	name := c.vethName()
	link, err := c.host.LinkByName(name)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if link.Kind != "veth" || namesPod(link) && link.Alias != c.podAlias() {
		return nil, protocol.Errorf(protocol.CodeConflict,
			"%s is not the veth of this container (a %s, alias %q): rename or remove it",
			name, link.Kind, link.Alias)
	}
	return link, nil
}

// namesPod reports whether a link's alias is that of a pod's host veth.
func namesPod(l *netlink.Link) bool {
	_, _, _, is := device.ParsePodAlias(l.Alias)
	return is
}

// deleteVeth deletes both ends; nil and one that is gone are no error.
func deleteVeth(h *netlink.Conn, host *netlink.Link) error {
	if host == nil {
		return nil
	}
	if err := h.Do(netlink.DelLink(host.Index)); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete veth %s: %w", host.Name, err)
	}
	return nil
}
