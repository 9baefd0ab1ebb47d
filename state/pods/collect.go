package pods

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/podnet/podnet/state/device"
	"github.com/podnet/podnet/state/ipam"
	"github.com/podnet/podnet/state/kernel"
	"github.com/podnet/podnet/state/presence"
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

// PodNetwork is podnet's own network on one node.
type PodNetwork struct {
	Name string
	Node string     // the name of the node's entry
	IP   netip.Addr // the node's, which tells its network namespace from others
}

// AwayError says that the node's ip is on no link of this network namespace. The node's pods, which
// are alive in another one, would all seem to be gone.
type AwayError struct{ PodNetwork }

func (e *AwayError) Error() string {
	return fmt.Sprintf("%s, the ip of %s, is on no link of this network namespace, and from here every pod of the node seems to be gone: nothing is collected", e.IP, e.Node)
}

// AtHome returns an AwayError unless this network namespace has the node's ip.
func AtHome(n *kernel.Node, network PodNetwork) error {
	addrs, err := n.LocalAddrs()
	if err == nil && !slices.Contains(addrs, network.IP) {
		err = &AwayError{network}
	}
	return err
}

// Collect frees what the pods of podnet's own network have left behind. A pod that is being added
// is not gone.
func Collect(n *kernel.Node, ctx context.Context, network string) (Garbage, error) {
	var g Garbage
	store, err := ipam.Open(filepath.Join(n.Paths.IPAMDataDir, network))
	if err != nil {
		return g, err
	}
	if err := n.ReadLinks(); err != nil {
		return g, err
	}
	pods := presence.NewOwn(n.Conn)
	var failed error
	g.Freed, failed = store.Collect(ctx, func(l ipam.Lease) (bool, error) {
		gone, err := store.Gone(l, pods)
		if gone { // the entry goes before the lease: afterwards the address may be another pod's
			forgetNeighbour(n, l.Addr)
		}
		return gone, err
	})
	for l, err := range store.Leases() {
		if err == nil && !l.Ours {
			name := device.VethName(network, l.Owner.ContainerID, l.Owner.IfName)
			if exists, err := pods.Link(name); err == nil && !exists {
				g.Kept = append(g.Kept, l)
			}
		}
	}
	g.Veths, err = deleteLeaving(n)
	return g, errors.Join(failed, err)
}

// forgetNeighbour removes what podnet's bridges know of a pod's address. The bridge plugin makes
// these entries, and the kernel does not collect them. One that stays is no fault: it gives way to
// what the address's next pod says of itself.
func forgetNeighbour(n *kernel.Node, a netip.Addr) {
	for _, l := range n.Links {
		if l.Type() == "bridge" && l.Attrs().Group == device.GroupDevice {
			_ = n.Handle.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: a.AsSlice()})
		}
	}
}

// Gone tells which attachments to podnet's own network have no pod any more: see ipam.Store.Gone.
// What it is asked about must have been there before the first question.
func Gone(n *kernel.Node, network string) (func(ipam.Owner) (bool, error), error) {
	store, err := ipam.Open(filepath.Join(n.Paths.IPAMDataDir, network))
	if err != nil {
		return nil, err
	}
	pods := presence.NewOwn(n.Conn)
	return func(o ipam.Owner) (bool, error) {
		is, sure, err := store.Absent(o, pods)
		return is && sure, err
	}, nil
}

// deleteLeaving deletes the host veths that are marked as leaving, all in one request: each alone
// would wait for the kernel to let go of it. It returns how many there were.
func deleteLeaving(n *kernel.Node) (int, error) {
	if err := n.ReadLinks(); err != nil {
		return 0, err
	}
	count := 0
	for _, l := range n.Links {
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
