package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Garbage is what pods that are gone have left behind on this node.
type Garbage struct {
	Freed []ipam.Lease // leases that podnet's plugins wrote
	Veths int          // host veths whose deletion was interrupted
	Kept  []ipam.Lease // leases of other plugins, without a veth of podnet's: nobody can tell what they are for
}

// Collect frees what the pods of podnet's own network have left behind. A pod is gone when its host veth is; one that is
// being added is not gone.
func (n *Node) Collect(ctx context.Context, network string) (Garbage, error) {
	var g Garbage
	store, err := ipam.Open(filepath.Join(n.paths.IPAMDataDir, network))
	if err != nil {
		return g, err
	}
	gone := func(o ipam.Owner) (bool, error) {
		exists, err := n.PodExists(network, o.ContainerID, o.IfName)
		return !exists, err
	}
	var failed error
	g.Freed, failed = store.Collect(ctx, gone, settled)
	for l, err := range store.Leases() {
		if err == nil && !l.Ours {
			if is, err := gone(l.Owner); err == nil && is {
				g.Kept = append(g.Kept, l)
			}
		}
	}
	g.Veths, err = n.deleteLeaving()
	return g, errors.Join(failed, err)
}

// PodExists asks the kernel for the host veth of an attachment to podnet's own network.
func (n *Node) PodExists(network, containerID, ifname string) (bool, error) {
	_, err := n.handle.LinkByName(device.VethName(network, containerID, ifname))
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return false, nil
	}
	return err == nil, err
}

// deleteLeaving deletes the host veths that are marked as leaving, all in one request: each alone would wait for the kernel
// to let go of it. It returns how many there were.
func (n *Node) deleteLeaving() (int, error) {
	if err := n.readLinks(); err != nil {
		return 0, err
	}
	count := 0
	for _, l := range n.links {
		if l.Attrs().Group == device.GroupDeleting {
			count++
		}
	}
	if count == 0 {
		return 0, nil
	}
	req := nl.NewNetlinkRequest(unix.RTM_DELLINK, unix.NLM_F_ACK)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(device.GroupDeleting)))
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil && !errors.Is(err, syscall.ENODEV) {
		return 0, fmt.Errorf("delete the veths of group %d: %w", device.GroupDeleting, err)
	}
	return count, nil
}
