package state

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"syscall"
	"time"

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

// inFlight is how long an ADD may take from its lease to the pod's address where nothing tells whether one is under way: when
// host-local gave the lease to another bridge plugin than podnet's.
const inFlight = time.Minute

// Collect frees what the pods of podnet's own network have left behind. A pod that is being added is not gone.
func (n *Node) Collect(ctx context.Context, network string) (Garbage, error) {
	var g Garbage
	store, err := ipam.Open(filepath.Join(n.paths.IPAMDataDir, network))
	if err != nil {
		return g, err
	}
	gone := n.Gone(network)
	var failed error
	g.Freed, failed = store.Collect(ctx, func(l ipam.Lease) (bool, error) {
		if l.Bound {
			exists, err := n.podExists(network, l.Owner)
			return !exists, err
		}
		if time.Since(l.Since) < inFlight {
			return false, nil
		}
		return gone(l.Owner)
	})
	for l, err := range store.Leases() {
		if err == nil && !l.Ours {
			if exists, err := n.podExists(network, l.Owner); err == nil && !exists {
				g.Kept = append(g.Kept, l)
			}
		}
	}
	g.Veths, err = n.deleteLeaving()
	return g, errors.Join(failed, err)
}

// Gone tells which attachments to podnet's own network have no pod any more: no host veth of podnet's name for it, and no
// port of the bridge that leads to its address, as podnet's conflist runs on other bridge plugins too. What it is asked
// about must have been there before the first question.
func (n *Node) Gone(network string) func(ipam.Owner) (bool, error) {
	connected := sync.OnceValues(func() (map[ipam.Owner]bool, error) { return n.connected(network) })
	return func(o ipam.Owner) (bool, error) {
		if exists, err := n.podExists(network, o); exists || err != nil {
			return false, err
		}
		alive, err := connected()
		return err == nil && !alive[o], err
	}
}

func (n *Node) connected(network string) (map[ipam.Owner]bool, error) {
	if err := n.readLinks(); err != nil {
		return nil, err
	}
	alive := map[ipam.Owner]bool{}
	for _, l := range n.links {
		if l.Type() != "bridge" {
			continue
		}
		pods, err := n.PodList(network, l.Attrs().Name)
		if err != nil {
			return nil, err
		}
		for _, p := range pods {
			alive[p.Owner] = alive[p.Owner] || p.Veth.Device != ""
		}
	}
	return alive, nil
}

// podExists asks the kernel for the host veth of an attachment to podnet's own network.
func (n *Node) podExists(network string, o ipam.Owner) (bool, error) {
	_, err := n.handle.LinkByName(device.VethName(network, o.ContainerID, o.IfName))
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
