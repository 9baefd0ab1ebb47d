package state

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
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
	if err := n.readLinks(); err != nil {
		return g, err
	}
	absent := n.absent(network)
	var failed error
	g.Freed, failed = store.Collect(ctx, func(l ipam.Lease) (bool, error) {
		if !l.Bound && time.Since(l.Since) < inFlight {
			return false, nil
		}
		is, sure, err := absent(l.Owner)
		gone := err == nil && is && (sure || l.Bound)
		if gone { // the entry goes before the lease: afterwards the address may be another pod's
			n.forgetNeighbour(l.Addr)
		}
		return gone, err
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

// forgetNeighbour removes what podnet's bridges know of a pod's address. The bridge plugin makes these entries, and the kernel
// does not collect them. One that stays is no fault: it gives way to what the address's next pod says of itself.
func (n *Node) forgetNeighbour(a netip.Addr) {
	for _, l := range n.links {
		if l.Type() == "bridge" && l.Attrs().Group == device.GroupDevice {
			_ = n.handle.NeighDel(&netlink.Neigh{LinkIndex: l.Attrs().Index, IP: a.AsSlice()})
		}
	}
}

// Gone tells which attachments to podnet's own network have no pod any more: no host veth of podnet's name for it, and no
// port of a bridge that leads to its address, as podnet's conflist runs on other bridge plugins too. As long as a port of
// podnet's bridge leads to a pod without an address, which may be any's, none has gone. What it is asked about must have been
// there before the first question.
func (n *Node) Gone(network string) func(ipam.Owner) (bool, error) {
	absent := n.absent(network)
	return func(o ipam.Owner) (bool, error) {
		is, sure, err := absent(o)
		return is && sure, err
	}
}

// absent says whether nothing of an attachment is to be seen, and whether that says for sure that its pod has gone.
func (n *Node) absent(network string) func(ipam.Owner) (is, sure bool, err error) {
	type view struct {
		alive  map[ipam.Owner]bool
		silent bool
	}
	connected := sync.OnceValues(func() (v view, err error) {
		v.alive, v.silent, err = n.connected(network)
		return v, err
	})
	return func(o ipam.Owner) (is, sure bool, err error) {
		if exists, err := n.podExists(network, o); exists || err != nil {
			return false, true, err
		}
		v, err := connected()
		return err == nil && !v.alive[o], !v.silent, err
	}
}

// connected are the attachments that the bridges of this host lead to; silent: a port of podnet's leads to a pod that has no
// address, or does not let it be seen. On other bridges that is nobody of podnet's network.
func (n *Node) connected(network string) (alive map[ipam.Owner]bool, silent bool, err error) {
	if err := n.readLinks(); err != nil {
		return nil, false, err
	}
	alive = map[ipam.Owner]bool{}
	for _, l := range n.links {
		if l.Type() != "bridge" {
			continue
		}
		pods, err := n.PodList(network, l.Attrs().Name)
		if err != nil {
			return nil, false, err
		}
		ours := l.Attrs().Group == device.GroupDevice
		for _, p := range pods {
			alive[p.Owner] = alive[p.Owner] || p.Veth.Device != ""
			silent = silent || ours && p.silent()
		}
	}
	return alive, silent, nil
}

// silent: its port leads to a pod that cannot be told from any other.
func (p *Pod) silent() bool {
	return p.Owner == (ipam.Owner{}) && len(p.Addrs) == 0 && p.Veth.namespace >= 0
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
