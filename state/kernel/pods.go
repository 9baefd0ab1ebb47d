package kernel

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/podnet/podnet/state/device"
	vishvananda "github.com/vishvananda/netlink"
)

// Pods counts the pods of this node as the kernel shows them: host veths of podnet's own network,
// and whatever else is a port of the bridge.
func (n *Node) Pods(bridge string) (int, error) {
	if err := n.ReadLinks(); err != nil {
		return 0, err
	}
	return n.pods(bridge), nil
}

func (n *Node) pods(bridge string) int {
	count, master := 0, n.Index(bridge)
	for _, l := range n.Links {
		if isPod(l.Attrs(), master) {
			count++
		}
	}
	return count
}

func isPod(a *vishvananda.LinkAttrs, bridge int) bool {
	return a.Group == device.GroupPod || bridge != 0 && a.MasterIndex == bridge
}

// DeleteAll deletes the host veths of podnet's own network, and with them the pods' way out: for a
// teardown that was told to. It returns how many there were. Ports of the bridge that another
// network made stay.
func (n *Node) DeleteAll() (int, error) {
	if err := n.ReadLinks(); err != nil {
		return 0, err
	}
	count := 0
	var failed error
	for name, l := range n.Links {
		if group := l.Attrs().Group; l.Type() != "veth" || group != device.GroupPod && group != device.GroupDeleting {
			continue
		}
		if err := n.Handle.LinkDel(l); err != nil && !errors.Is(err, syscall.ENODEV) {
			failed = errors.Join(failed, fmt.Errorf("delete %s: %w", name, err))
			continue
		}
		count++
	}
	return count, failed
}
