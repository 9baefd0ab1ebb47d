package bridge

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/podnet/podnet/cmd/cni/internal/podns"
	"github.com/podnet/podnet/cmd/cni/internal/protocol"
)

// addOrReplace makes the pair. One that an interrupted ADD of the same attachment left is removed first; anything else in
// its place stays, and is an error.
func (v *veth) addOrReplace(req *protocol.Request, h *netlink.Handle, pod *podns.Namespace) (netlink.Link, error) {
	link, err := v.add(h, pod)
	if !errors.Is(err, unix.EEXIST) {
		return link, err
	}
	if err := v.removeLeftover(req, h, pod); err != nil {
		return nil, err
	}
	return v.add(h, pod)
}

// removeLeftover deletes the host's end that the attachment's names lead to. The pod's interface of that name must be the
// other end of it, or not be there: an interrupted ADD may have meant another namespace.
func (v *veth) removeLeftover(req *protocol.Request, h *netlink.Handle, pod *podns.Namespace) error {
	host, err := findVeth(req, h, v.name)
	if err != nil {
		return err
	}
	p, err := dialPod(pod)
	if err != nil {
		return err
	}
	defer p.Close()
	inside, err := p.LinkByName(v.peer)
	if err != nil && !isNotFound(err) {
		return err
	}
	if inside != nil && (host == nil || !pairs(host, inside)) {
		return protocol.Errorf(protocol.CodeConflict, "%s exists in %s already (a %s that this network did not make): use another CNI_IFNAME, or remove it first",
			v.peer, pod.Path, inside.Type())
	}
	return deleteVeth(h, host)
}

// pairs says whether a link of the host and one of the pod are the ends of one veth.
func pairs(host, inside netlink.Link) bool {
	return host.Type() == "veth" && inside.Type() == "veth" &&
		inside.Attrs().ParentIndex == host.Attrs().Index && host.Attrs().ParentIndex == inside.Attrs().Index
}

// findVeth returns the host's end of the attachment, nil if there is none. A link of that name that says that it is
// another's, or is no veth, is an error.
func findVeth(req *protocol.Request, h *netlink.Handle, name string) (netlink.Link, error) {
	link, err := h.LinkByName(name)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if alias := link.Attrs().Alias; link.Type() != "veth" || alias != "" && alias != podAlias(req) {
		return nil, protocol.Errorf(protocol.CodeConflict, "%s is not the veth of this container (a %s, alias %q): rename or remove it", name, link.Type(), alias)
	}
	return link, nil
}

// deleteVeth deletes both ends; nil and one that is gone are no error.
func deleteVeth(h *netlink.Handle, host netlink.Link) error {
	if host == nil {
		return nil
	}
	if err := h.LinkDel(host); err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("delete veth %s: %w", host.Attrs().Name, err)
	}
	return nil
}
