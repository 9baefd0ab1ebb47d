package state

import (
	"errors"
	"fmt"
	"syscall"
)

// DeletePods deletes the host veths of podnet's own network, and with them the pods' way out: for a teardown that was
// told to. It returns how many there were. Ports of the bridge that another network made stay.
func (n *Node) DeletePods() (int, error) {
	if err := n.readLinks(); err != nil {
		return 0, err
	}
	count := 0
	var failed error
	for name, l := range n.links {
		if group := l.Attrs().Group; l.Type() != "veth" || group != GroupPod && group != GroupDeleting {
			continue
		}
		if err := n.handle.LinkDel(l); err != nil && !errors.Is(err, syscall.ENODEV) {
			failed = errors.Join(failed, fmt.Errorf("delete %s: %w", name, err))
			continue
		}
		count++
	}
	return count, failed
}
